"""Three hosts on one network: who calls, the gate, and where Kinesis is. Each is a network namespace
with an interface of its own on a bridge; all of them end with the namespace that the test runs in.
"""

import ctypes
import dataclasses
import os
import subprocess
import threading

HOST = "kinesis.us-east-1.amazonaws.com"

# Kinesis's own addresses, and those of another service, on the same host.
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
        """The command that runs another one there."""
        return ["nsenter", f"--net={NAMESPACES}/{self.name}", *map(str, command)]

    def run(self, *command, **more):
        subprocess.run(self.command(*command), check=True, timeout=10, **more)

    def ip(self, command):
        self.run("ip", *command.split())

    def rules(self, text):
        """Takes the place of all its netfilter rules."""
        self.run("nft", "-f", "-", input=f"flush ruleset\n{text}", text=True)

    def within(self, work):
        """Does work there, and returns what it returns. What it opens stays there."""
        done = {}

        def there():
            with open(f"{NAMESPACES}/{self.name}") as namespace:
                if LIBC.setns(namespace.fileno(), CLONE_NEWNET):
                    done["error"] = OSError(ctypes.get_errno(), f"no way into {self.name}")
                    return
            try:
                done["result"] = work()
            except Exception as error:
                done["error"] = error

        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
        if "error" in done:
            raise done["error"]
        return done["result"]


LIBC = ctypes.CDLL(None, use_errno=True)
CLIENT = Host("client", "10.77.0.2", "fd77::2")
GATE = Host("gate", "10.77.0.3", "fd77::3")
KINESIS = Host("kinesis", "10.77.0.10", "fd77::10")


def build():
    """The three hosts; what is for Kinesis's addresses goes to its host."""

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
    lead(CLIENT, KINESIS)
    lead(GATE, KINESIS)


def lead(host, to):
    """Has what a host sends to Kinesis's addresses take its way over another host."""
    host.ip(f"route replace 192.0.2.0/24 via {to.address}")
    host.ip(f"-6 route replace 2001:db8::/64 via {to.address6}")
