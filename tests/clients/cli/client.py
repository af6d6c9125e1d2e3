"""Runs cases with the AWS CLI, a process for each: a job on standard input, one line of JSON for
each case on standard output.

See ../README.md. `AWS_CLI` names the program.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ERROR = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation[^:]*: (.*)", re.S)


def main():
    job = json.load(sys.stdin)
    saved = {}
    for case in job["cases"]:
        time.sleep(case.get("pause", 0))
        print(json.dumps({"case": case["case"], **attempt(job, case, saved)}), flush=True)


def attempt(job, case, saved):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as arguments:
        json.dump(to_cli(case["arguments"], saved), arguments)
        arguments.flush()
        done = subprocess.run(
            command(case, arguments.name),
            env=environment(job, case),
            capture_output=True,
            text=True,
            timeout=60,
        )
    if done.returncode == 0:
        result = json.loads(done.stdout or "{}")
        for name, path in case.get("save", {}).items():
            saved[name] = result
            for member in path.split("."):
                saved[name] = saved[name][member]
        return {"outcome": "ok", "result": result}
    error = ERROR.search(done.stderr)
    if not error:
        return {"outcome": "error", "type": f"exit {done.returncode}", "message": done.stderr.strip()}
    code, message = error.groups()
    outcome = "denied" if code == "AccessDeniedException" else "error"
    return {"outcome": outcome, "code": code, "message": message.strip()}


def command(case, arguments):
    operation = re.sub(r"(?<!^)(?=[A-Z])", "-", case["call"]).lower()
    endpoint = ["--endpoint-url", case["endpoint_url"]] if case["endpoint_url"] else []
    cli = [os.environ["AWS_CLI"], "kinesis", operation, *endpoint]
    # One page alone: for the next, the CLI sends a name and a token, which Kinesis forbids.
    return [*cli, "--no-paginate", "--output", "json", "--cli-input-json", f"file://{arguments}"]


def environment(job, case):
    # Without a key in the job, the default credential chain finds credentials.
    key = job["credentials"][case["as"]]
    variables = key and {"AWS_ACCESS_KEY_ID": key["id"], "AWS_SECRET_ACCESS_KEY": key["secret"]}
    return {**os.environ, "AWS_DEFAULT_REGION": job["region"], **(variables or {})}


def to_cli(value, saved, member=None):
    """A value for the CLI: blobs as text, `$name` replaced by the value that an earlier case saved."""
    if isinstance(value, dict):
        return {name: to_cli(inner, saved, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [to_cli(inner, saved) for inner in value]
    if member == "Data":
        return base64.b64decode(value).decode()
    if isinstance(value, str) and value.startswith("$"):
        return saved[value[1:]]
    return value


main()
