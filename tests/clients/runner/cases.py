"""The cases: from the shared list to each client's job, and from its reports to a verdict."""

import base64
import json
import re

from .clients import CANNOT, CLIENTS
from .install import HERE

ACCOUNT = "123456789012"
REGION = "us-east-1"
# Who calls. The third policy is attached to the analyst.
PRINCIPALS = {name: f"arn:aws:iam::{ACCOUNT}:user/{name}" for name in ("producer", "analyst")}

# The ids of the endpoints behind the names in the list.
ENDPOINTS = {
    "read-only": "vpce-22bb33cc",
    "one-stream": "vpce-33cc44dd",
    "named": "vpce-11aa22bb",
    "other": "vpce-44dd55ee",
}

WORDS = {
    "implicit": "because no VPC endpoint policy allows the kinesis:{call} action",
    "explicit": "with an explicit deny in an identity-based policy",
}

# Their model has no AccessDeniedException: SDKs then raise their general error, with the code.
UNMODELLED = {"CreateStream", "ListStreams"}


def load(client, way, upstream):
    """The cases for a client, with everything filled in. A stream of its own for each way."""
    listed = json.loads((HERE / "cases.json").read_text())
    names = {"{own}": listed["own"], "{stream}": f"{client}-{way}"}
    cases = []
    for number, case in enumerate(listed["cases"]):
        case = fill(case, names)
        named = "ARN" if any("ARN" in name for name in case["arguments"]) else "name"
        case["case"] = f"{number:02} {case['endpoint']} {case['as']} {case['call']} by {named}"
        # A denial is the gate's own: it needs nothing of the upstream.
        upstreams = {None} if "denied" in case else {None, upstream}
        reasons = [CANNOT.get((client, case["call"], each)) for each in upstreams]
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
    """An access key id of the account: ten bytes in base32, the account in bits 7 to 46 of the
    first six."""
    head = (1 << 47 | int(ACCOUNT) << 7).to_bytes(6, "big")
    return "AKIA" + base64.b32encode(head + number.to_bytes(4, "big")).decode()


def judge(client, upstream, case, report, record):
    """What is wrong with a case: nothing, or a sentence. `record` is the gate's of the request."""
    if report is None:
        return "the client said nothing"
    lacking = case.get("lacks", {}).get(upstream)
    expected = "denied" if "denied" in case else "error" if lacking else "ok"
    if report["outcome"] != expected or report.get("code") != (lacking or report.get("code")):
        said = {name: value for name, value in report.items() if name not in ("case", "result")}
        return f"expected {lacking or expected}: {json.dumps(said)}"
    wrong = {"denied": denial, "error": lambda *_: None, "ok": answer}[expected](client, case, report)
    return wrong or decision(case, record)


def answer(client, case, report):
    if not holds(report["result"], case.get("result", {})):
        return f"expected {json.dumps(case['result'])} in {json.dumps(report['result'])[:2000]}"
    return None


def denial(client, case, report):
    general = CLIENTS[client][1]
    types = {"AccessDeniedException"} | ({general} if case["call"] in UNMODELLED else set())
    if client != "cli" and report["type"] not in types:
        return f"the error's type is `{report['type']}`"
    if report.get("attempts", 1) not in (1, None):
        return f"{report['attempts']} attempts"
    resource = re.escape(case["resource"]) if "resource" in case else r"\S+"
    words = WORDS[case["denied"]].format(call=case["call"])
    sentence = f"User: {PRINCIPALS[case['as']]} is not authorized to perform: kinesis:{case['call']} on resource: {resource} {words}"
    if not re.fullmatch(sentence, report["message"]):
        return f"the message is `{report['message']}`"
    return None


def decision(case, record):
    """The gate must have had the request once, and have passed on none that it denied."""
    expected = f"{case['denied']}-deny" if "denied" in case else "allow"
    if record is None:
        return "the gate has no record of it"
    if (record.get("action"), record.get("decision")) != (f"kinesis:{case['call']}", expected):
        return f"the gate recorded {json.dumps(record)}"
    if (record.get("upstream_status") is None) != ("denied" in case):
        return f"upstream answered {record.get('upstream_status')}"
    return None


def holds(found, wanted):
    """Whether all that is wanted is found: members of objects, and a list's first."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(holds(found.get(name), inner) for name, inner in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) >= len(wanted) and all(map(holds, found, wanted))
    return found == wanted
