"""The cases: the job of each client, made from the shared list, and the verdict on its reports."""

import base64
import json
import re

from .clients import CLIENTS, UNSUPPORTED
from .install import HERE

ACCOUNT = "123456789012"
REGION = "us-east-1"
# The callers. The third policy is attached to the analyst.
PRINCIPALS = {name: f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("producer", "analyst")}

# The ids of the endpoints that the list names.
ENDPOINTS = {
    "read-only": "vpce-22bb33cc",
    "one-stream": "vpce-33cc44dd",
    "named": "vpce-11aa22bb",
    "other": "vpce-44dd55ee",
}

DENIAL_REASONS = {
    "implicit": "because no VPC endpoint policy allows the kinesis:{call} action",
    "explicit": "with an explicit deny in an identity-based policy",
}

# Operations whose model has no AccessDeniedException: SDKs raise their general error, with the code.
WITHOUT_ACCESS_DENIED = {"CreateStream", "ListStreams"}


def load(client, way, upstream):
    """The cases of a client, with all names filled in. Each way has its own stream."""
    listed = json.loads((HERE / "cases.json").read_text())
    names = {"{own}": listed["own"], "{stream}": f"{client}-{way}"}
    cases = []
    for number, case in enumerate(listed["cases"]):
        case = fill(case, names)
        identifier = "ARN" if any("ARN" in name for name in case["arguments"]) else "name"
        case["case"] = f"{number:02} {case['endpoint']} {case['as']} {case['call']} by {identifier}"
        # The gate answers a denied case: the upstream needs no support for it.
        upstreams = {None} if "denied" in case else {None, upstream}
        reasons = [UNSUPPORTED.get((client, case["call"], each)) for each in upstreams]
        case["skip"] = next(filter(None, reasons), None)
        cases.append(case)
    return cases


def fill(value, names):
    if isinstance(value, dict):
        if set(value) == {"count", "bytes"}:
            return records(**value)
        return {name: fill(inner, names) for name, inner in value.items()}
    if isinstance(value, list):
        return [fill(inner, names) for inner in value]
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(name, text)
    return value


def records(count, bytes):
    data = base64.b64encode(b"r" * bytes).decode()
    return [{"Data": data, "PartitionKey": str(number)} for number in range(count)]


def access_key(number):
    """An access key id of the account: ten bytes in base32, with the account in bits 7 to 46 of the first
    six."""
    head = (1 << 47 | int(ACCOUNT) << 7).to_bytes(6, "big")
    return "AKIA" + base64.b32encode(head + number.to_bytes(4, "big")).decode()


def problem(client, upstream, case, report, record):
    """The problem of a case, or None. `record` is the gate's record of the request."""
    if report is None:
        return "the client has no report"
    emulator_error = case.get("lacks", {}).get(upstream)
    expected = "denied" if "denied" in case else "error" if emulator_error else "ok"
    if report["outcome"] != expected or report.get("code") != (emulator_error or report.get("code")):
        shown = {name: value for name, value in report.items() if name not in ("case", "result")}
        return f"expected {emulator_error or expected}: {json.dumps(shown)}"
    found = {"denied": denial_problem, "error": lambda *_: None, "ok": result_problem}[expected](client, case, report)
    return found or decision_problem(case, record)


def result_problem(client, case, report):
    if not includes(report["result"], case.get("result", {})):
        return f"expected {json.dumps(case['result'])} in {json.dumps(report['result'])[:2000]}"
    return None


def denial_problem(client, case, report):
    general = CLIENTS[client][1]
    types = {"AccessDeniedException"} | ({general} if case["call"] in WITHOUT_ACCESS_DENIED else set())
    if client != "cli" and report["type"] not in types:
        return f"the error's type is `{report['type']}`"
    if report.get("attempts", 1) not in (1, None):
        return f"{report['attempts']} attempts"
    resource = re.escape(case["resource"]) if "resource" in case else r"\S+"
    reason = DENIAL_REASONS[case["denied"]].format(call=case["call"])
    sentence = f"User: {PRINCIPALS[case['as']]} is not authorized to perform: kinesis:{case['call']} on resource: {resource} {reason}"
    if not re.fullmatch(sentence, report["message"]):
        return f"the message is `{report['message']}`"
    return None


def decision_problem(case, record):
    """The gate must record the request, and must not forward a denied one."""
    expected = f"{case['denied']}-deny" if "denied" in case else "allow"
    if record is None:
        return "the gate has no record of the request"
    if (record.get("action"), record.get("decision")) != (f"kinesis:{case['call']}", expected):
        return f"the gate recorded {json.dumps(record)}"
    if (record.get("upstream_status") is None) != ("denied" in case):
        return f"upstream answered {record.get('upstream_status')}"
    return None


def includes(found, wanted):
    """Whether `found` has all wanted members of objects, and the wanted first elements of lists."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(includes(found.get(name), inner) for name, inner in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) >= len(wanted) and all(map(includes, found, wanted))
    return found == wanted
