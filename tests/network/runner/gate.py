"""The gate: its configuration, its process, its log and metrics."""

import json
import os
import re
import socket
import subprocess
import sys
import time

# The gate's user, whose connections netfilter does not redirect.
USER = 977
UNPRIVILEGED = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
# Capabilities to bind foreign addresses and port 443.
PRIVILEGED = [*UNPRIVILEGED, "--inh-caps=+net_admin,+net_bind_service", "--ambient-caps=+net_admin,+net_bind_service"]

POLICY = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "kinesis:PutRecord",
        "Resource": "arn:aws:kinesis:us-east-1:123456789012:stream/orders",
    },
}
BASE_CONFIG = """
workers = 1
limits = { upstream-idle = "100ms" }
upstream = { ca-file = "service-ca.pem"%s }
admin = { address = "127.0.0.1:9901" }

[[endpoint]]
id = "vpce-0000aaaa"
region = "us-east-1"
policy = "policy.json"
"""


def config(*listeners, upstream=""):
    """A configuration with listeners: pairs of an address and other settings."""
    tls = 'tls = { ca-certificate = "ca.pem", ca-key = "ca-key.pem" }'
    each = [f'[[listener]]\naddress = "{address}"\nendpoint = "vpce-0000aaaa"\n{more}\n{tls}\n' for address, more in listeners]
    return BASE_CONFIG % upstream + "\n".join(each)


class Gate:
    """A running gate on one of the hosts."""

    def __init__(self, folder, host, text, prefix=UNPRIVILEGED):
        self.folder, self.host = folder, host
        self.log, self.errors = folder / "gate.out", folder / "gate.err"
        with open(self.log, "wb") as out, open(self.errors, "wb") as err:
            command = host.command(*prefix, *arguments(folder, text))
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        wait_for(lambda: "listening on " in self.errors.read_text() or self.process.poll() is not None)
        if self.process.poll() is not None:
            sys.exit(f"the gate does not start: {self.errors.read_text()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(20)

    def records(self, count):
        """The decision log, once it has `count` records."""
        wait_for(lambda: len(self.log.read_text().splitlines()) >= count)
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def metric(self, name):
        def work():
            with socket.create_connection(("127.0.0.1", 9901), 10) as tcp:
                tcp.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return b"".join(iter(lambda: tcp.recv(65536), b"")).decode()

        page = self.host.within(work)
        return int(re.search(rf"^{re.escape(name)} (\d+)$", page, re.MULTILINE)[1])


def start_error(folder, host, text, prefix):
    """The exit code and the messages of a gate that must not start."""
    command = host.command(*prefix, *arguments(folder, text))
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr.strip()


def arguments(folder, text):
    (folder / "policy.json").write_text(json.dumps(POLICY))
    (folder / "gate.toml").write_text(text)
    return [folder / "kinesis-gate", "run", "--config", folder / "gate.toml"]


def install(program, folder):
    """Copies the program to `folder`, and lets the gate's user read the folder."""
    copy = folder / "kinesis-gate"
    copy.write_bytes(program.read_bytes())
    copy.chmod(0o755)
    os.chmod(folder, 0o755)
    os.chmod(folder / "ca-key.pem", 0o644)


def wait_for(condition, seconds=15):
    """The first true result of `condition`, or its last one after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := condition()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return result
