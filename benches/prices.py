#!/usr/bin/env python3
"""The price of the gate's features: CPU time per request with a feature and without it.

    cargo build --release
    benches/prices.py [re-sign] [policy] [--gate target/release/kinesis-gate] [--rounds 9] [--seconds 2]

`re-sign`: a PutRecord of 1 KiB that keeps the client's signature (passthrough), one that is re-signed for
a client on loopback, and one that is verified and re-signed. `policy`: a PutRecords of 1 MiB under a
policy of three statements, and under one that allows everything. All gates run the same program on the
same core. Every round runs each gate once, in turns; a ratio is the median of the ratios within the
rounds. Exits 1 if a goal is missed. Needs what `side_by_side.py` needs.
"""
import argparse
import contextlib
import datetime
import hashlib
import hmac
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import peers
import side_by_side as lab

USER = "arn:aws:iam::123456789012:user/bench"
# The gate's own credentials; the upstream accepts every signature.
UPSTREAM_CREDENTIALS = ["env", "AWS_ACCESS_KEY_ID=AKIARZPUZDIKGB2VALC4", "AWS_SECRET_ACCESS_KEY=throw-away"]
ALLOW_ALL = '{"Statement": {"Effect": "Allow", %s"Action": "*", "Resource": "*"}}'
IDENTITY = f'[[identity-policy]]\nfile = "identity.json"\nprincipals = ["{USER}"]'
ENDPOINTS = {
    "passthrough": 'policy = "policy.json"',
    "re-signed": f'policy = "policy.json"\nprincipal = "{USER}"\n[endpoint.re-sign]\nauthenticate = "loopback"\n{IDENTITY}',
    "verified, re-signed": 'policy = "policy.json"\n[endpoint.re-sign]\nauthenticate = "sigv4"\n'
    f'local-credentials = "local.jsonl"\n{IDENTITY}',
    "three statements": 'policy = "policy.json"',
    "everything allowed": 'policy = "all.json"',
}
# Operation, bytes of data, connections, the gates (ratios are to the last), the goal if there is one.
MODES = {
    "re-sign": ("PutRecord", 768, 32, ["verified, re-signed", "re-signed", "passthrough"], None),
    "policy": ("PutRecords", 1 << 20, 16, ["three statements", "everything allowed"], 1.10),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modes", nargs="*", metavar="MODE", help=", ".join(MODES))
    parser.add_argument("--gate", default="target/release/kinesis-gate")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=int, default=2)
    options = parser.parse_args()
    modes = options.modes or list(MODES)
    if unknown := set(modes) - set(MODES):
        parser.error(f"no such mode: {', '.join(sorted(unknown))}")
    met = True
    for mode in modes:
        with contextlib.ExitStack() as running:
            folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
            met &= measure(running, folder, mode, options)
    sys.exit(not met)


def measure(running, folder, mode, options):
    """Prints the table of one mode, and returns whether its goal is met."""
    operation, size, connections, names, goal = MODES[mode]
    lab.certificates(folder)
    (folder / "all.json").write_text(ALLOW_ALL % '"Principal": "*", ')
    (folder / "identity.json").write_text(ALLOW_ALL % "")
    issued = credentials(folder, options.gate) if mode == "re-sign" else None
    upstream = lab.free_port()
    lab.start(running, lab.pinned(lab.nginx(folder, "upstream", upstream, "client_max_body_size 16m; " + peers.RESPONSES % folder), lab.LOAD_CORE), upstream)
    gates = {}
    for name in names:
        port = lab.free_port()
        command = lab.gate_command(folder, port, upstream, options.gate, name.replace(" ", "-"), ENDPOINTS[name])
        gates[name] = lab.start(running, lab.pinned([*UPSTREAM_CREDENTIALS, *command], lab.PROXY_CORE), port), port
    body = peers.json_body(operation, size, "orders").encode()
    costs = {name: [] for name in names}
    for number in range(options.rounds):
        # Each round has a new signature: it is valid for five minutes.
        script = peers.write_load(folder, operation, "orders", "keep-alive", body, extra=signature_headers(operation, body, issued) if issued else ())
        for name in names if number % 2 == 0 else reversed(names):
            process, port = gates[name]
            costs[name].append(peers.cost(process, port, script, name, False, connections, options.seconds))
    print(f"CPU per request, {operation} of {len(body):,} bytes, {connections} connections, {options.rounds} rounds of {options.seconds} s:")
    base = costs[names[-1]]
    met = True
    for name in names:
        ratio = statistics.median(ours / theirs for ours, theirs in zip(costs[name], base))
        verdict = f"goal: at most {goal:g}   {'met' if ratio <= goal else 'MISSED'}" if goal and name != names[-1] else ""
        met &= not verdict or ratio <= goal
        print(f"  {name:22} {statistics.median(costs[name]):7.1f} µs   ({min(costs[name]):.1f} to {max(costs[name]):.1f})   {ratio:5.2f} times   {verdict}".rstrip())
    return met


def credentials(folder, program):
    """Credentials for a client, issued by the gate."""
    issue = [program, "credentials", "issue", "--store", folder / "local.jsonl", "--region", "us-east-1", "--principal", USER]
    return json.loads(subprocess.run(issue, check=True, capture_output=True, timeout=30).stdout)


def signature_headers(operation, body, issued):
    """Headers with a signature, after https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html."""
    def mac(key, text):
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    headers = peers.request_headers(operation) | {"X-Amz-Date": now, "X-Amz-Security-Token": issued.get("SessionToken", "")}
    signed_headers = {name.lower(): headers[name] for name in ("Content-Type", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Target")}
    signed_headers = dict(sorted({"host": lab.HOST, **signed_headers}.items()))
    names, scope = ";".join(signed_headers), f"{now[:8]}/us-east-1/kinesis/aws4_request"
    lines = "".join(f"{name}:{value}\n" for name, value in signed_headers.items())
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{issued['SecretAccessKey']}".encode()
    for part in scope.split("/"):
        key = mac(key, part)
    signature = f"AWS4-HMAC-SHA256 Credential={issued['AccessKeyId']}/{scope}, SignedHeaders={names}, Signature={mac(key, text).hex()}"
    return {"X-Amz-Date": now, "X-Amz-Security-Token": headers["X-Amz-Security-Token"], "Authorization": signature}


if __name__ == "__main__":
    main()
