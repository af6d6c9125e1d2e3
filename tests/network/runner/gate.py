"""The gate: its configuration, its process, its log and metrics."""

import json
import os
import re
import socket
import subprocess
import sys
import time

# Whose connections are not redirected.
USER = 977
PLAIN = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
# To take over addresses, and to listen where Kinesis does.
MIGHTY = [*PLAIN, "--inh-caps=+net_admin,+net_bind_service", "--ambient-caps=+net_admin,+net_bind_service"]

POLICY = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "kinesis:PutRecord",
        "Resource": "arn:aws:kinesis:us-east-1:123456789012:stream/orders",
    },
}
SITE = """
workers = 1
limits = { upstream-idle = "100ms" }
upstream = { ca-file = "service-ca.pem"%s }
admin = { address = "127.0.0.1:9901" }

[[endpoint]]
id = "vpce-0000aaaa"
region = "us-east-1"
policy = "policy.json"
"""


def configured(*listeners, upstream=""):
    """A configuration of listeners, each an address and what else it says."""
    tls = 'tls = { ca-certificate = "ca.pem", ca-key = "ca-key.pem" }'
    each = [f'[[listener]]\naddress = "{address}"\nendpoint = "vpce-0000aaaa"\n{more}\n{tls}\n' for address, more in listeners]
    return SITE % upstream + "\n".join(each)


class Gate:
    """A running gate on one of the hosts."""

    def __init__(self, folder, host, text, prefix=PLAIN):
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

    def logged(self, lines):
        """Its log, once it has so many lines."""
        wait_for(lambda: len(self.log.read_text().splitlines()) >= lines)
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def metric(self, name):
        def work():
            with socket.create_connection(("127.0.0.1", 9901), 10) as tcp:
                tcp.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return b"".join(iter(lambda: tcp.recv(65536), b"")).decode()

        page = self.host.within(work)
        return int(re.search(rf"^{re.escape(name)} (\d+)$", page, re.MULTILINE)[1])


def refused(folder, host, text, prefix):
    """What a gate says that does not start."""
    command = host.command(*prefix, *arguments(folder, text))
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr.strip()


def arguments(folder, text):
    (folder / "policy.json").write_text(json.dumps(POLICY))
    (folder / "gate.toml").write_text(text)
    return [folder / "kinesis-gate", "run", "--config", folder / "gate.toml"]


def install(program, folder):
    """Puts the program and its files where its user can read them."""
    copy = folder / "kinesis-gate"
    copy.write_bytes(program.read_bytes())
    copy.chmod(0o755)
    os.chmod(folder, 0o755)
    os.chmod(folder / "ca-key.pem", 0o644)


def wait_for(found, seconds=15):
    """What is found, if it is found in time."""
    deadline = time.monotonic() + seconds
    while not (result := found()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return result
