"""Three hosts on one network: the client, the gate and Kinesis. Each is a network namespace with an
interface on a bridge, and ends with the namespace of the test.
"""

import ctypes
import dataclasses
import os
import subprocess
import threading

HOST = "kinesis.us-east-1.amazonaws.com"

# Two addresses of Kinesis for each IP version, on the same host.
SERVICE, ELSEWHERE = "192.0.2.10", "192.0.2.11"
SERVICE6, ELSEWHERE6 = "2001:db8::10", "2001:db8::11"

CLONE_NEWNET = 0x40000000
NAMESPACES = "/run/netns"


@dataclasses.dataclass(frozen=True)
class Host:
    name: str
    address: str
    address6: str

    def command(self, *command):
        """The command line that runs `command` on this host."""
        return ["nsenter", f"--net={NAMESPACES}/{self.name}", *map(str, command)]

    def run(self, *command, **more):
        subprocess.run(self.command(*command), check=True, timeout=10, **more)

    def ip(self, command):
        self.run("ip", *command.split())

    def set_rules(self, text):
        """Replaces all netfilter rules of this host."""
        self.run("nft", "-f", "-", input=f"flush ruleset\n{text}", text=True)

    def within(self, work):
        """Calls `work` in this host's namespace, and returns its result. Its sockets stay there."""
        outcome = {}

        def enter_and_work():
            with open(f"{NAMESPACES}/{self.name}") as namespace:
                if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
                    outcome["error"] = OSError(ctypes.get_errno(), f"cannot enter {self.name}")
                    return
            try:
                outcome["result"] = work()
            except Exception as error:
                outcome["error"] = error

        thread = threading.Thread(target=enter_and_work)
        thread.start()
        thread.join()
        if "error" in outcome:
            raise outcome["error"]
        return outcome["result"]


LIBC = ctypes.CDLL(None, use_errno=True)
CLIENT = Host("client", "10.77.0.2", "fd77::2")
GATE = Host("gate", "10.77.0.3", "fd77::3")
KINESIS = Host("kinesis", "10.77.0.10", "fd77::10")


def build():
    """Makes the three hosts, and the routes to Kinesis's addresses."""

    def ip(command):
        subprocess.run(["ip", *command.split()], check=True, timeout=10)

    os.makedirs(NAMESPACES, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", NAMESPACES], check=True, timeout=10)
    ip("link set lo up")
    ip("link add wire type bridge")
    ip("link set wire up")
    for host in (CLIENT, GATE, KINESIS):
        ip(f"netns add {host.name}")
        ip(f"link add {host.name} type veth peer name eth0 netns {host.name}")
        ip(f"link set {host.name} master wire up")
        host.ip("link set lo up")
        host.ip("link set eth0 up")
        host.ip(f"addr add {host.address}/24 dev eth0")
        host.ip(f"-6 addr add {host.address6}/64 dev eth0 nodad")
    for address in (SERVICE, ELSEWHERE):
        KINESIS.ip(f"addr add {address}/32 dev lo")
    for address in (SERVICE6, ELSEWHERE6):
        KINESIS.ip(f"-6 addr add {address}/128 dev lo nodad")
    route(CLIENT, KINESIS)
    route(GATE, KINESIS)


def route(host, to):
    """Routes Kinesis's addresses from `host` over another host."""
    host.ip(f"route replace 192.0.2.0/24 via {to.address}")
    host.ip(f"-6 route replace 2001:db8::/64 via {to.address6}")
