"""One client's way through all cases, and the verdict on it."""

import dataclasses
import json
import pathlib
import subprocess

from . import cases, clients

WAYS = ["localhost", "address", "names"]

# The longest that one process of a client may take, seconds.
PATIENCE = 300

# Lays another hosts file over the machine's, for the program that follows.
WITH_HOSTS = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']


@dataclasses.dataclass
class Site:
    """What clients meet."""

    tools: dict
    folder: pathlib.Path
    ports: dict
    hosts: dict


class Run:
    """A client, and how it reaches the gate: by an endpoint override, `localhost` or an address, or
    by Kinesis's own names. Its access keys are its own, so that the gate's records can be told
    apart."""

    def __init__(self, number, client, way, upstream):
        self.client, self.way, self.upstream = client, way, upstream
        self.keys = {name: cases.access_key(2 * number + n) for n, name in enumerate(cases.PRINCIPALS)}
        self.cases = cases.load(client, way, upstream)
        self.reports = {}

    def drive(self, site):
        if self.way == "names":
            # The names lead to one endpoint at a time.
            for endpoint in cases.ENDPOINTS:
                self.process(site, [case for case in self.cases if case["endpoint"] == endpoint], endpoint)
        else:
            self.process(site, self.cases, None)

    def process(self, site, given, hosts):
        job = {
            "region": cases.REGION,
            "credentials": {name: {"id": key, "secret": "throw-away"} for name, key in self.keys.items()},
            "cases": [{**case, "endpoint_url": self.url(site, case)} for case in given if not case["skip"]],
        }
        command = [*WITH_HOSTS, site.hosts[hosts], *clients.command(self.client, site.tools, site.folder)]
        with open(site.folder / f"{self.client}-{self.way}.err", "a") as errors:
            try:
                done = subprocess.run(
                    command,
                    env=clients.environment(self.client, site.tools, site.folder),
                    input=json.dumps(job),
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    timeout=PATIENCE,
                )
                said = done.stdout
            except subprocess.TimeoutExpired as late:
                said = (late.stdout or b"").decode()
        for line in said.splitlines():
            report = json.loads(line)
            self.reports[report["case"]] = report

    def url(self, site, case):
        host = {"localhost": "localhost", "address": "127.0.0.1", "names": None}[self.way]
        return host and f"https://{host}:{site.ports[case['endpoint']]}"

    def verdicts(self, records):
        """Each case that was run, and what is wrong with it or `None`."""
        for endpoint, vpce in cases.ENDPOINTS.items():
            for name, key in self.keys.items():
                group = [
                    case for case in self.cases
                    if (case["endpoint"], case["as"]) == (endpoint, name) and not case["skip"]
                ]
                seen = [
                    record for record in records
                    if (record["endpoint"], record.get("principal", {}).get("access_key_id")) == (vpce, key)
                ]
                seen.sort(key=lambda record: record["time"])
                count = len(seen)
                for case in group:
                    record = next_record(seen, case)
                    wrong = cases.judge(self.client, self.upstream, case, self.reports.get(case["case"]), record)
                    if case is group[-1] and count != len(group):
                        wrong = wrong or f"the gate had {count} requests for {len(group)} calls"
                    yield case, wrong

    def skipped(self):
        return [case for case in self.cases if case["skip"]]


def next_record(seen, case):
    """Takes the next record. Of those of the same millisecond, which two of the gate's event loops
    may have written, it is the one that fits."""
    if not seen:
        return None
    tied = [record for record in seen if record["time"] == seen[0]["time"]]
    record = next((each for each in tied if cases.decision(case, each) is None), seen[0])
    seen.remove(record)
    return record
