"""The run of one client through all cases, and its verdicts."""

import dataclasses
import json
import pathlib
import subprocess

from . import cases, clients

WAYS = ["localhost", "address", "names"]

# For one process of a client.
TIMEOUT_SECONDS = 300

# Mounts a hosts file over the machine's, for the command that follows.
WITH_HOSTS = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"']


@dataclasses.dataclass
class Setup:
    """The gate and the files that the clients use."""

    tools: dict
    folder: pathlib.Path
    ports: dict
    hosts: dict


class Run:
    """A client and its way to the gate: an endpoint override with `localhost` or with an address, or
    Kinesis's own names. Its access keys identify its records in the gate's log."""

    def __init__(self, number, client, way, upstream):
        self.client, self.way, self.upstream = client, way, upstream
        self.keys = {name: cases.access_key(2 * number + n) for n, name in enumerate(cases.PRINCIPALS)}
        self.cases = cases.load(client, way, upstream)
        self.reports = {}

    def drive(self, setup):
        if self.way == "names":
            # A hosts file resolves the names to one endpoint.
            for endpoint in cases.ENDPOINTS:
                self.run_cases(setup, [case for case in self.cases if case["endpoint"] == endpoint], endpoint)
        else:
            self.run_cases(setup, self.cases, None)

    def run_cases(self, setup, case_list, hosts):
        job = {
            "region": cases.REGION,
            "credentials": {name: {"id": key, "secret": "throw-away"} for name, key in self.keys.items()},
            "cases": [{**case, "endpoint_url": self.url(setup, case)} for case in case_list if not case["skip"]],
        }
        command = [*WITH_HOSTS, setup.hosts[hosts], *clients.command(self.client, setup.tools, setup.folder)]
        with open(setup.folder / f"{self.client}-{self.way}.err", "a") as errors:
            try:
                done = subprocess.run(
                    command,
                    env=clients.environment(self.client, setup.tools, setup.folder),
                    input=json.dumps(job),
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    timeout=TIMEOUT_SECONDS,
                )
                output = done.stdout
            except subprocess.TimeoutExpired as timeout:
                output = (timeout.stdout or b"").decode()
        for line in output.splitlines():
            report = json.loads(line)
            self.reports[report["case"]] = report

    def url(self, setup, case):
        host = {"localhost": "localhost", "address": "127.0.0.1", "names": None}[self.way]
        return host and f"https://{host}:{setup.ports[case['endpoint']]}"

    def verdicts(self, records):
        """Yields each case that was run, and its problem or None."""
        for endpoint, vpce in cases.ENDPOINTS.items():
            for name, key in self.keys.items():
                group = [
                    case for case in self.cases
                    if (case["endpoint"], case["as"]) == (endpoint, name) and not case["skip"]
                ]
                matching = [
                    record for record in records
                    if (record["endpoint"], record.get("principal", {}).get("access_key_id")) == (vpce, key)
                ]
                matching.sort(key=lambda record: record["time"])
                count = len(matching)
                for case in group:
                    record = next_record(matching, case)
                    problem = cases.problem(self.client, self.upstream, case, self.reports.get(case["case"]), record)
                    if case is group[-1] and count != len(group):
                        problem = problem or f"the gate had {count} requests for {len(group)} calls"
                    yield case, problem

    def skipped(self):
        return [case for case in self.cases if case["skip"]]


def next_record(matching, case):
    """Removes the next record. Two event loops of the gate may write records of the same millisecond in any
    order: of these, the one without a problem is the next."""
    if not matching:
        return None
    tied = [record for record in matching if record["time"] == matching[0]["time"]]
    record = next((each for each in tied if cases.decision_problem(case, each) is None), matching[0])
    matching.remove(record)
    return record
