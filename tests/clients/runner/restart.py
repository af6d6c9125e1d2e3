"""A consumer of boto3 whose gate is restarted: nothing but one more iterator comes of it.

The policy allows one stream alone, so what an iterator stands for decides, and the new gate knows no
iterator of the old one's.
"""

import json
import re
import subprocess

from . import clients, servers
from .cases import ACCOUNT, REGION, access_key

STREAM, OTHER = "orders", "payroll"
STAGES = [[f"{stage} {number}" for number in range(20)] for stage in ("before", "after")]


def run(program, emulator, tools, folder):
    """What was tested, and what is wrong with each or `None`."""
    started = []
    try:
        return dict(stages(program, emulator, tools, folder, started))
    finally:
        for server in reversed(started):
            server.stop()


def stages(program, emulator, tools, folder, started):
    servers.authority(folder)
    upstream, port = emulator()
    started.append(upstream)
    for stream in (STREAM, OTHER):
        servers.create_stream(port, folder, stream)
    first, own = gate(program, "gate", port, 0, folder)
    started.append(first)
    consumer = Consumer(tools, folder, own)
    started.append(consumer)
    before = consumer.stage()
    first.stop()
    second, _ = gate(program, "gate-restarted", port, own, folder)
    started.append(second)
    after = consumer.stage()
    consumer.stop()
    second.stop()
    yield "boto3 before the restart", judge(before, STAGES[0], 0)
    yield "boto3 after the restart", judge(after, STAGES[0] + STAGES[1], 1)
    yield "what the gates decided", decisions(folder)


class Consumer(servers.Server):
    """The program, which waits for a line between its stages."""

    def __init__(self, tools, folder, port):
        command = [tools["python"] / "bin/python", servers.HERE / "boto3/consumer.py"]
        environment = clients.environment("boto3", tools, folder)
        super().__init__("consumer", command, folder, env=environment, input=subprocess.PIPE)
        self.told = 0
        self.say({
            "region": REGION, "endpoint_url": f"https://localhost:{port}", "key": access_key(951), "stream": STREAM,
            "stages": STAGES,
        })

    def say(self, line):
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def stage(self):
        """What it has when a stage is done; the next one begins with the next call."""
        if self.told:
            self.say("go on")
        self.told += 1
        lines = self.wait_for(lambda: self.lines() if len(self.lines()) == self.told else None, 90)
        return json.loads(lines[-1])

    def lines(self):
        return self.log.read_text().splitlines()


def gate(program, name, upstream, port, folder):
    """A gate that allows one stream; it and its port."""
    stream = f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{STREAM}"
    allowed = {"Effect": "Allow", "Principal": "*", "Action": "kinesis:*", "Resource": stream}
    (folder / "policy.json").write_text(json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    tls = '{ ca-certificate = "ca.pem", ca-key = "ca-key.pem" }'
    configuration = folder / f"{name}.toml"
    configuration.write_text(f"""
upstream = {{ connect = "127.0.0.1:{upstream}", server-name = "localhost", ca-file = "ca.pem" }}
admin = {{ address = "127.0.0.1:0" }}

[[endpoint]]
id = "vpce-66ff77aa"
region = "{REGION}"
policy = "policy.json"

[[listener]]
address = "127.0.0.1:{port}"
endpoint = "vpce-66ff77aa"
tls = {tls}
""")
    server = servers.Server(name, [program, "run", "--config", configuration], folder)
    found = server.wait_for(lambda: re.search(r"listening on \S+:(\d+) for ", server.errors.read_text()))
    return server, int(found[1])


def judge(report, wanted, expired):
    """Each record once and in order, and an expired iterator only where the gate had been restarted."""
    if report["seen"] != wanted:
        return f"it read {report['seen']}"
    return None if report["expired"] == expired else f"{report['expired']} of its iterators had expired"


def decisions(folder):
    """All is allowed, but the one iterator that the restarted gate was asked for, which goes nowhere and
    for which one other is fetched."""
    for name, refused, iterators in (("gate", 0, 1), ("gate-restarted", 1, 1)):
        records = [json.loads(line) for line in (folder / f"{name}.out").read_text().splitlines()]
        unknown = [record for record in records if record["decision"] != "allow"]
        if [record["action"] for record in unknown] != ["kinesis:GetRecords"] * refused:
            return f"{name} refused {json.dumps(unknown)}"
        if any(record.get("upstream_status") is not None for record in unknown):
            return f"{name} passed on {json.dumps(unknown)}"
        asked = [record for record in records if record["action"] == "kinesis:GetShardIterator"]
        if len(asked) != iterators:
            return f"{name} was asked for {len(asked)} iterators"
    return None
