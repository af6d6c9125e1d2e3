"""A consumer of boto3 whose gate is restarted: it needs one more iterator, and nothing else.

The policy allows one stream, so that a decision needs the iterator's stream. The new gate has no token
bindings of the old one.
"""

import json
import re
import subprocess

from . import clients, servers
from .cases import ACCOUNT, REGION, access_key

STREAM, OTHER = "orders", "payroll"
STAGES = [[f"{stage} {number}" for number in range(20)] for stage in ("before", "after")]


def run(program, emulator, tools, folder):
    """The problem of each stage, or None, by its title."""
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
    before = consumer.run_stage()
    first.stop()
    second, _ = gate(program, "gate-restarted", port, own, folder)
    started.append(second)
    after = consumer.run_stage()
    consumer.stop()
    second.stop()
    yield "boto3 before the restart", problem(before, STAGES[0], 0)
    yield "boto3 after the restart", problem(after, STAGES[0] + STAGES[1], 1)
    yield "what the gates decided", decision_problem(folder)


class Consumer(servers.Server):
    """The consumer's program, which waits for a line after each stage."""

    def __init__(self, tools, folder, port):
        command = [tools["python"] / "bin/python", servers.HERE / "boto3/consumer.py"]
        environment = clients.environment("boto3", tools, folder)
        super().__init__("consumer", command, folder, env=environment, input=subprocess.PIPE)
        self.stage_count = 0
        self.send({
            "region": REGION, "endpoint_url": f"https://localhost:{port}", "key": access_key(951), "stream": STREAM,
            "stages": STAGES,
        })

    def send(self, line):
        self.process.stdin.write(json.dumps(line).encode() + b"\n")
        self.process.stdin.flush()

    def run_stage(self):
        """Runs the next stage, and returns its report."""
        if self.stage_count:
            self.send("continue")
        self.stage_count += 1
        lines = self.wait_for(lambda: self.lines() if len(self.lines()) == self.stage_count else None, 90)
        return json.loads(lines[-1])

    def lines(self):
        return self.log.read_text().splitlines()


def gate(program, name, upstream, port, folder):
    """Starts a gate that allows one stream; returns it and its port."""
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


def problem(report, wanted, expired):
    """The problem of a report, or None. It must have each record once, in order, and `expired` iterators."""
    if report["seen"] != wanted:
        return f"it read {report['seen']}"
    return None if report["expired"] == expired else f"{report['expired']} of its iterators had expired"


def decision_problem(folder):
    """The problem of the decision logs, or None. The gates allow all calls but one with an iterator from
    before the restart, which is not forwarded, and for which the consumer requests another."""
    for name, refused, iterators in (("gate", 0, 1), ("gate-restarted", 1, 1)):
        records = [json.loads(line) for line in (folder / f"{name}.out").read_text().splitlines()]
        denied = [record for record in records if record["decision"] != "allow"]
        if [record["action"] for record in denied] != ["kinesis:GetRecords"] * refused:
            return f"{name} refused {json.dumps(denied)}"
        if any(record.get("upstream_status") is not None for record in denied):
            return f"{name} forwarded {json.dumps(denied)}"
        requests = [record for record in records if record["action"] == "kinesis:GetShardIterator"]
        if len(requests) != iterators:
            return f"{name} received {len(requests)} requests for iterators"
    return None
