"""The Kinesis Producer Library writes and the Kinesis Client Library reads, both through the gate.

Each stream has one producer and two consumers, one that polls and one with enhanced fan-out. While they
read, the gate is restarted, with the policy that `learn` makes of its decision log.
"""

import collections
import json
import re
import subprocess
import time

from . import cases, clients, servers
from .cases import ACCOUNT, REGION, access_key
from .drive import WITH_HOSTS

# User records of each producer: before the gate restarts, and after.
BEFORE, AFTER = 10_000, 1_000
DENIED = 20

# For one wait on a consumer or a producer, which includes the first leases or a restart.
TIMEOUT_SECONDS = 180

ENDPOINT = "vpce-55ee66ff"
ADDRESS, LEASES = "127.0.1.1", "127.0.1.2"

# The stream of each way to the gate: Kinesis's own names, or an endpoint override.
STREAMS = {"names": "orders-by-names", "override": "orders-by-override"}
FORBIDDEN = "payroll"

PRODUCER_CALLS = ["PutRecords", "ListShards", "DescribeStreamSummary"]
CONSUMER_CALLS = ["DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"]
FAN_OUT_CALLS = ["RegisterStreamConsumer", "DescribeStreamConsumer", "SubscribeToShard"]


def arn(stream):
    return f"arn:aws:kinesis:{REGION}:{ACCOUNT}:stream/{stream}"


def policy():
    """Allows the calls of the two libraries on their two streams alone."""
    streams = [arn(stream) for stream in STREAMS.values()]
    actions = sorted({f"kinesis:{action}" for action in PRODUCER_CALLS + CONSUMER_CALLS + FAN_OUT_CALLS})
    consumers = [f"{stream}/consumer/*" for stream in streams]
    allowed = {"Effect": "Allow", "Principal": "*", "Action": actions, "Resource": streams + consumers}
    return {"Version": "2012-10-17", "Statement": [allowed]}


class Producer:
    """A KPL with its own access key."""

    def __init__(self, way, stream, key):
        self.way, self.stream, self.key = way, stream, key
        self.name = f"kpl {way}" + (" forbidden" if stream == FORBIDDEN else "")

    def job(self, port, start, count):
        override = {"port": port} if self.way == "override" else {}
        # The KPL retries a denied record until its TTL.
        ttl = {"ttl": 5_000} if self.stream == FORBIDDEN else {}
        named = {"name": self.name, "stream": self.stream, "key": self.key}
        return {**named, "from": start, "count": count, **override, **ttl}

    def problem(self, report, count):
        """The problem of its report, or None."""
        if report is None or "error" in report:
            return f"{report and report['error']}"
        if self.stream != FORBIDDEN:
            good = report["acknowledged"] == count and not report["failures"]
            return None if good else json.dumps(report)
        failures = [text for text in report["failures"] if not text.startswith("Expired: ")]
        if report["acknowledged"] or not failures:
            return json.dumps(report)
        if report["seconds"] > 60:
            return f"it took {report['seconds']} s to fail"
        sentence = (
            f"AccessDeniedException: User: {re.escape(principal(self.key))} is not authorized to perform: "
            f"kinesis:PutRecords on resource: {re.escape(arn(FORBIDDEN))} {cases.DENIAL_REASONS['implicit'].format(call='PutRecords')}"
        )
        return next((f"it failed with `{text}`" for text in failures if not re.fullmatch(sentence, text)), None)


class Consumer:
    """A KCL application with its own access key, and the records that it read."""

    def __init__(self, mode, way, stream, key, by_arn=False):
        self.name = f"kcl {mode} {way}"
        self.mode, self.way, self.stream, self.key, self.by_arn = mode, way, stream, key, by_arn
        self.records_read = []

    def job(self, port):
        override = {"port": port} if self.way == "override" else {}
        named = {"arn": arn(self.stream)} if self.by_arn else {}
        application = self.name.replace(" ", "-")
        return {"name": application, "mode": self.mode, "stream": self.stream, "key": self.key, **override, **named}

    def problem(self):
        """The problem of its records, or None. It must read each record once, and each shard in order."""
        counts = collections.Counter(record["data"] for record in self.records_read)
        written = {f"{self.stream} {number}" for number in range(BEFORE + AFTER)}
        if lost := written - counts.keys():
            return f"{len(lost)} of {len(written)} records are missing, such as `{min(lost)}`"
        if unwritten := counts.keys() - written:
            return f"`{min(unwritten)}` was never written"
        if repeated := [data for data, count in counts.items() if count > 1]:
            return f"{len(repeated)} records were read again, such as `{repeated[0]}`"
        reached = {}
        for record in self.records_read:
            place = (int(record["sequence"]), record["sub"])
            if place <= reached.get(record["shard"], (-1, -1)):
                return f"`{record['data']}` was not in its shard's order"
            reached[record["shard"]] = place
        return None if len(reached) == 2 else f"all records were in {sorted(reached)}"


class Reader(servers.Server):
    """The process of the consumers."""

    def __init__(self, command, environment, folder, consumers, job):
        self.consumers = {each.job(None)["name"]: each for each in consumers}
        super().__init__("kcl", command, folder, env=environment, input=subprocess.PIPE)
        self.process.stdin.write(json.dumps(job).encode() + b"\n")
        self.process.stdin.flush()
        self.output, self.rest = open(self.log, "rb"), b""

    def read_until(self, condition):
        """Reads the consumers' records until `condition` holds; whether it did in time."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                return False
            time.sleep(0.1)
            self.read_records()
        return True

    def read_records(self):
        *lines, self.rest = (self.rest + self.output.read()).split(b"\n")
        for line in lines:
            record = json.loads(line)
            self.consumers[record["consumer"]].records_read.append(record)

    def end(self):
        """Lets the consumers end by themselves, so that they print their last records."""
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            pass
        self.stop()
        self.read_records()


class Pipeline:
    def __init__(self, program, start, tools, folder):
        self.program, self.start, self.tools, self.folder = program, start, tools, folder
        self.started, self.records = [], []
        names, override = STREAMS["names"], STREAMS["override"]
        self.producers = [
            Producer("names", names, access_key(901)),
            Producer("override", override, access_key(902)),
            Producer("names", FORBIDDEN, access_key(903)),
            Producer("override", FORBIDDEN, access_key(904)),
        ]
        self.consumers = [
            Consumer("polling", "names", names, access_key(905)),
            Consumer("polling", "override", override, access_key(906)),
            # By its ARN, a stream is read from the host names that carry an account.
            Consumer("fan-out", "names", override, access_key(907), by_arn=True),
            Consumer("fan-out", "override", names, access_key(908)),
        ]

    def run(self):
        """The problem of each stage, or None, by its title."""
        try:
            return dict(self.stages())
        finally:
            for server in reversed(self.started):
                server.stop()

    def stages(self):
        servers.authority(self.folder)
        emulator, port = self.start()
        self.started.append(emulator)
        for stream in [*STREAMS.values(), FORBIDDEN]:
            servers.create_stream(port, self.folder, stream, shards=2)
        self.started.append(servers.moto(self.tools["moto"], self.folder, LEASES))
        self.hosts = self.write_hosts()
        gate, own = self.gate("gate", port, 0)

        reader = self.reader(own)
        yield from self.produce("before", self.producers, own, 0, BEFORE)
        # All consumers have iterators or subscriptions of this gate, which the next gate does not know.
        all_started = reader.read_until(lambda: all(each.records_read for each in self.consumers))
        codes = [gate.stop()]
        # A call that is missing in this policy is denied from here on.
        learnt_policy = self.learn("gate.out")
        gate, _ = self.gate("gate-restarted", port, own, learnt_policy)
        yield "gate restarted midway", None if all_started else "a consumer had no record"

        yield from self.produce("after", self.producers[:2], own, BEFORE, AFTER)
        reader.read_until(lambda: all(len(each.records_read) >= BEFORE + AFTER for each in self.consumers))
        reader.end()
        codes.append(gate.stop())
        for each in self.consumers:
            yield each.name, each.problem()
        yield "gate ended well", None if codes == [0, 0] else f"with {codes}: {gate.errors.read_text()[-2000:]}"
        yield "decisions", self.decision_problem()

    def learn(self, log):
        """The policy that `learn` makes of a log."""
        command = [self.program, "learn", self.folder / log]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout

    def gate(self, name, upstream, port, learnt_policy=None):
        """Starts the gate on a port, 0 for a free one, and returns it and the port."""
        configuration = self.folder / f"{name}.toml"
        (self.folder / "policy.json").write_text(learnt_policy or json.dumps(policy(), indent=2))
        configuration.write_text(self.config(upstream, port))
        server = servers.Server(name, [self.program, "run", "--config", configuration], self.folder)
        self.started.append(server)

        def listening():
            found = re.findall(r"listening on (\S+):(\d+) for ", server.errors.read_text())
            return found if len(found) == 2 else None

        return server, next(int(port) for _, port in server.wait_for(listening) if port != "443")

    def config(self, upstream, port):
        parts = [
            f'upstream = {{ connect = "127.0.0.1:{upstream}", server-name = "localhost", ca-file = "ca.pem" }}',
            'admin = { address = "127.0.0.1:0" }',
            '[limits]\ndrain = "2s"',
            *[f'[[principal]]\naccess-key-id = "{each.key}"\narn = "{principal(each.key)}"' for each in self.producers],
            f'[[endpoint]]\nid = "{ENDPOINT}"\nvpc = "vpc-0123abcd"\nregion = "{REGION}"\npolicy = "policy.json"',
        ]
        for address in (f"127.0.0.1:{port}", f"{ADDRESS}:443"):
            tls = '{ ca-certificate = "ca.pem", ca-key = "ca-key.pem" }'
            parts.append(f'[[listener]]\naddress = "{address}"\nendpoint = "{ENDPOINT}"\ntls = {tls}')
        return "\n\n".join(parts) + "\n"

    def write_hosts(self):
        """A hosts file: Kinesis's names resolve to the gate, those of leases and metrics to moto."""
        host = f"kinesis.{REGION}.amazonaws.com"
        kinesis = [host, *[f"{ACCOUNT}.{plane}-{host}" for plane in ("data", "control")]]
        lines = ["127.0.0.1 localhost", *[f"{ADDRESS} {each}" for each in kinesis]]
        lines += [f"{LEASES} {each}.{REGION}.amazonaws.com" for each in servers.MOTO]
        path = self.folder / "hosts"
        path.write_text("\n".join(lines) + "\n")
        return path

    def command(self, program):
        java = clients.java(self.tools["programs"], self.folder, "programs", program)
        return [*WITH_HOSTS, str(self.hosts), *java], clients.base_environment(self.folder)

    def reader(self, port):
        job = {"region": REGION, "consumers": [each.job(port) for each in self.consumers]}
        reader = Reader(*self.command("Consumer"), self.folder, self.consumers, job)
        self.started.append(reader)
        return reader

    def produce(self, when, producers, port, start, count):
        """Puts records, and yields the problem of each producer's report, or None."""
        counts = {each: DENIED if each.stream == FORBIDDEN else count for each in producers}
        jobs = [each.job(port, start, counts[each]) for each in producers]
        job = {"region": REGION, "ca": str(self.folder / "ca.pem"), "folder": str(self.folder), "producers": jobs}
        command, environment = self.command("Producer")
        with open(self.folder / f"kpl-{when}.err", "wb") as errors:
            try:
                done = subprocess.run(
                    command, env=environment, input=json.dumps(job), stdout=subprocess.PIPE, stderr=errors, text=True,
                    timeout=TIMEOUT_SECONDS,
                )
                output = done.stdout
            except subprocess.TimeoutExpired as timeout:
                output = (timeout.stdout or b"").decode()
        (self.folder / f"kpl-{when}.out").write_text(output)
        reports = {report["name"]: report for report in map(json.loads, output.splitlines())}
        for each in producers:
            yield f"{each.name} {when}", each.problem(reports.get(each.name), counts[each])

    def decision_problem(self):
        """The problem of the decision logs, or None. The gate allows all calls but those on the forbidden
        stream and the first iterators after the restart, and forwards none of these."""
        forbidden = {each.key for each in self.producers if each.stream == FORBIDDEN}
        polling = {each.key for each in self.consumers if each.mode == "polling"}
        calls, expired = collections.defaultdict(set), set()
        for log in ("gate.out", "gate-restarted.out"):
            for record in map(json.loads, (self.folder / log).read_text().splitlines()):
                key, call = record["principal"]["access_key_id"], record["action"].removeprefix("kinesis:")
                expected = "implicit-deny" if key in forbidden else "allow"
                if log == "gate-restarted.out" and call == "GetRecords" and record["decision"] == "refused":
                    expired.add(key)
                    expected = "refused"
                is_forwarded = record.get("upstream_status") is not None
                if record["decision"] != expected or (is_forwarded and expected != "allow"):
                    return json.dumps(record)
                calls[key].add(call)
        for each in self.producers:
            if "PutRecords" not in calls[each.key]:
                return f"{each.name} only called {sorted(calls[each.key])}"
        for each in self.consumers:
            call = "GetRecords" if each.mode == "polling" else "SubscribeToShard"
            if {"GetRecords", "SubscribeToShard"} & calls[each.key] != {call}:
                return f"{each.name} called {sorted(calls[each.key])}"
        # Each polling consumer must have had an iterator of the old gate.
        return None if expired == polling else f"expired iterators came from {sorted(expired)}, not {sorted(polling)}"


def principal(key):
    return f"arn:aws:iam::{ACCOUNT}:user/{key.lower()}"
