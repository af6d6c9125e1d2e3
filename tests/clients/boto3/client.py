"""Runs cases with boto3: a job on standard input, one line of JSON for each case on standard output.

See ../README.md. `client.py rpc` speaks Smithy RPC v2 CBOR instead of JSON.
"""

import base64
import json
import sys
import time

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError


def main():
    job = json.load(sys.stdin)
    clients, saved = {}, {}
    for case in job["cases"]:
        key = (case["endpoint_url"], case["as"])
        if key not in clients:
            clients[key] = client(job, case)
        time.sleep(case.get("pause", 0))
        print(json.dumps({"case": case["case"], **attempt(clients[key], case, saved)}), flush=True)


def client(job, case):
    # Without a key in the job, the default credential chain finds credentials.
    key = job["credentials"][case["as"]] or {"id": None, "secret": None}
    session = boto3.Session()
    if sys.argv[1:] == ["rpc"]:
        speak_rpc(session)
    return session.client(
        "kinesis",
        region_name=job["region"],
        endpoint_url=case["endpoint_url"],
        aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"],
        config=Config(connect_timeout=10, read_timeout=30),
    )


def speak_rpc(session):
    """Adds the protocol to the service model: botocore supports it, but Kinesis's model does not list it."""
    loader = session._session.get_component("data_loader")
    load = loader.load_service_model

    def with_protocol(*arguments, **named):
        model = load(*arguments, **named)
        if "metadata" in model:
            model["metadata"]["protocols"] = ["smithy-rpc-v2-cbor"]
        return model

    loader.load_service_model = with_protocol


def attempt(kinesis, case, saved):
    try:
        result = to_json(call(kinesis, case, saved))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        return {
            "outcome": "denied" if code == "AccessDeniedException" else "error",
            "code": code,
            "type": type(error).__name__,
            "message": error.response["Error"]["Message"],
            "attempts": error.response["ResponseMetadata"]["RetryAttempts"] + 1,
        }
    except Exception as error:
        return {"outcome": "error", "type": type(error).__name__, "message": str(error)}
    for name, path in case.get("save", {}).items():
        saved[name] = result
        for member in path.split("."):
            saved[name] = saved[name][member]
    return {"outcome": "ok", "result": result}


def call(kinesis, case, saved):
    result = getattr(kinesis, xform_name(case["call"]))(**to_boto3(case["arguments"], saved))
    if case["call"] == "SubscribeToShard":
        for event in result["EventStream"]:
            if event["SubscribeToShardEvent"]["Records"]:
                return event["SubscribeToShardEvent"]
    return result


def to_boto3(value, saved, member=None):
    """A value for boto3: blobs as bytes, `$name` replaced by the value that an earlier case saved."""
    if isinstance(value, dict):
        return {name: to_boto3(inner, saved, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [to_boto3(inner, saved) for inner in value]
    if member == "Data":
        return base64.b64decode(value)
    if isinstance(value, str) and value.startswith("$"):
        return saved[value[1:]]
    return value


def to_json(value):
    """A value for JSON."""
    if isinstance(value, dict):
        return {name: to_json(inner) for name, inner in value.items() if name != "ResponseMetadata"}
    if isinstance(value, list):
        return [to_json(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if isinstance(value, (str, int, float, bool)) else str(value)


main()
