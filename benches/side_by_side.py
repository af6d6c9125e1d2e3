#!/usr/bin/env python3
"""Compares the CPU time per request of the gate, with its policy and its decision log, and of nginx as a
plain TLS proxy; then measures the gate's start time and its memory when idle.

    cargo build --release
    benches/side_by_side.py [--gate target/release/kinesis-gate] [--rounds 7] [--seconds 3]

Needs Linux with two cores, nginx, wrk and openssl (Debian: nginx-core, wrk). Both proxies are pinned
to one core, load and upstream to another; both use TLS 1.3 on both sides and verify the upstream. Every
round runs each proxy once, in turns; the ratio is the median of the ratios within the rounds, which other
work on the machine hardly changes. Exits 1 if a goal is missed. All connections are on loopback.
"""
import argparse
import contextlib
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOST = "kinesis.us-east-1.amazonaws.com"
POLICY = """{"Version": "2012-10-17", "Statement": [
  {"Sid": "Producers", "Effect": "Allow", "Principal": "*", "Action": ["kinesis:PutRecord", "kinesis:PutRecords"],
   "Resource": ["arn:aws:kinesis:us-east-1:123456789012:stream/orders", "arn:aws:kinesis:us-east-1:123456789012:stream/clicks-*"]},
  {"Sid": "Readers", "Effect": "Allow", "Principal": "*", "Action": ["kinesis:GetRecords", "kinesis:List*", "kinesis:Describe*"], "Resource": "*"},
  {"Sid": "NoDeletes", "Effect": "Deny", "Principal": "*", "Action": "kinesis:Delete*", "Resource": "*"}]}"""
RESPONSE = """return 200 '{"SequenceNumber":"1","ShardId":"shardId-000000000000"}';"""
CONNECTIONS = 32
PROXY_CORE, LOAD_CORE = 0, 1
STARTS = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", default="target/release/kinesis-gate")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        certificates(folder)
        upstream = free_port()
        start(running, pinned(nginx(folder, "upstream", upstream, RESPONSE), LOAD_CORE), upstream)
        ready, idle = zip(*(start_and_idle(folder, upstream, options.gate) for _ in range(STARTS)))
        ports = free_port(), free_port()
        plain = start(running, pinned(plain_proxy(folder, ports[0], upstream), PROXY_CORE), ports[0])
        gate = start(running, pinned(gate_command(folder, ports[1], upstream, options.gate), PROXY_CORE), ports[1])
        allowed, denied = load(folder, "orders"), load(folder, "private")
        costs = []
        for number in range(options.rounds):
            runs = [(plain, ports[0], allowed, 200), (gate, ports[1], allowed, 200), (gate, ports[1], denied, 400)]
            order = runs if number % 2 == 0 else runs[::-1]
            measured = {run: cost(*run, options.seconds) for run in order}
            costs.append([measured[run] for run in runs])
    nginx_cost, gate_cost, denied_cost = zip(*costs)
    ratio = statistics.median(ours / theirs for theirs, ours, _ in costs)
    print(f"CPU per request, PutRecord of 1 KiB, {CONNECTIONS} connections, {options.rounds} rounds of {options.seconds} s:")
    for name, figures in [("nginx, no policy", nginx_cost), ("gate, allowed", gate_cost), ("gate, denied", denied_cost)]:
        print(f"  {name:17} {statistics.median(figures):5.1f} µs   ({min(figures):.1f} to {max(figures):.1f})")
    goals = [("CPU, gate to nginx", ratio, 1.0, "times"), (f"ready after, best of {STARTS}", min(ready), 50, "ms"),
             (f"resident, worst of {STARTS}", max(idle), 16, "MiB")]
    for name, figure, most, unit in goals:
        print(f"{name:24} {figure:5.2f} {unit:5}  goal: at most {most:g}   {'met' if figure <= most else 'MISSED'}")
    sys.exit(any(figure > most for _, figure, most, _ in goals))


def cost(process, port, script, status, seconds):
    """CPU microseconds of the proxy for one request."""
    wrk(script, port, 1)
    before = cpu_seconds(process.pid)
    requests, errors = wrk(script, port, seconds)
    after = cpu_seconds(process.pid)
    if errors != (0 if status == 200 else requests):
        sys.exit(f"{errors} of {requests} responses were errors; each should have been a {status}")
    return (after - before) / requests * 1e6


def certificates(folder):
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, cwd=folder, stderr=subprocess.DEVNULL)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-subj", "/CN=bench", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", "ca-key.pem", "-out", "ca.pem")
    openssl("req", *key, "-subj", f"/CN={HOST}", "-keyout", "key.pem", "-out", "leaf.csr")
    (folder / "san").write_text(f"subjectAltName=DNS:{HOST}\n")
    openssl("x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-extfile", "san", "-out", "leaf.pem")


def nginx(folder, name, port, location, pool=""):
    temporary = "".join(f"{kind}_temp_path {folder}/{name}-{kind}; " for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"])
    (folder / f"{name}.conf").write_text(f"""
{"user root;" if os.geteuid() == 0 else ""} daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log /dev/null crit;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; {temporary}
  {pool}
  server {{ listen 127.0.0.1:{port} ssl http2; ssl_certificate {folder}/leaf.pem; ssl_certificate_key {folder}/key.pem;
    ssl_protocols TLSv1.3; location / {{ {location} }} }} }}
""")
    return ["nginx", "-e", "/dev/null", "-p", str(folder), "-c", str(folder / f"{name}.conf")]


def plain_proxy(folder, port, upstream):
    pool = f"upstream service {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 100000000; }}"
    return nginx(folder, "proxy", port, f"""proxy_pass https://service; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_request_buffering off; proxy_ssl_verify on; proxy_ssl_name {HOST};
      proxy_ssl_server_name on; proxy_ssl_trusted_certificate {folder}/ca.pem; proxy_ssl_protocols TLSv1.3;""", pool)


def gate_command(folder, port, upstream, program, name="gate", endpoint='policy = "policy.json"'):
    (folder / "policy.json").write_text(POLICY)
    configuration = folder / f"{name}.toml"
    configuration.write_text(f"""
workers = 1
upstream = {{ connect = "127.0.0.1:{upstream}", server-name = "{HOST}", ca-file = "ca.pem" }}
[[listener]]
address = "127.0.0.1:{port}"
endpoint = "vpce-33cc44dd"
tls = {{ certificate = "leaf.pem", key = "key.pem" }}
[[endpoint]]
id = "vpce-33cc44dd"
region = "us-east-1"
{endpoint}
""")
    return [program, "run", "--config", str(configuration)]


def start_and_idle(folder, upstream, program):
    """Milliseconds from the start of the process to its first accepted connection, and resident MiB a
    second later."""
    port = free_port()
    with contextlib.ExitStack() as running:
        started = time.monotonic()
        process = start(running, gate_command(folder, port, upstream, program), port)
        ready = (time.monotonic() - started) * 1000
        time.sleep(1)
        status = Path(f"/proc/{process.pid}/status").read_text()
        return ready, int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024


def load(folder, stream):
    """A PutRecord of 1 KiB to `stream`, for wrk."""
    body = '{"Data": "%s", "PartitionKey": "user:1", "StreamName": "%s"}' % ("QUJD" * 240, stream)
    signature = "AWS4-HMAC-SHA256 Credential=AKIARZPUZDIKGB2VALC4/20261123/us-east-1/kinesis/aws4_request, " \
        "SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=" + "0" * 64
    script = folder / f"{stream}.lua"
    script.write_text(f"""wrk.method = "POST"
wrk.body = [[{body}]]
wrk.headers = {{ ["Host"] = "{HOST}", ["X-Amz-Target"] = "Kinesis_20131202.PutRecord", ["X-Amz-Date"] = "20261123T120000Z",
  ["Content-Type"] = "application/x-amz-json-1.1", ["Authorization"] = "{signature}", ["User-Agent"] = "bench" }}
function done(summary)
  local errors = summary.errors
  print(string.format("done %d %d", summary.requests, errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
""")
    return script


def wrk(script, port, seconds):
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), f"https://127.0.0.1:{port}/"]
    out = subprocess.run(pinned(command, LOAD_CORE), check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
    requests, errors = re.search(r"done (\d+) (\d+)", out).groups()
    return int(requests), int(errors)


def cpu_seconds(pid):
    """User and system time of a process and of its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child) for child in children)


def start(running, command, port):
    """Starts a server and waits until it listens; it ends with `running`. Another process reads its
    output, as a log collector does."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    running.callback(process.wait, 30)
    running.callback(process.terminate)
    deadline = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"`{' '.join(command)}` does not listen on port {port}")
            time.sleep(0.001)
    subprocess.Popen(pinned(["cat"], LOAD_CORE), stdin=process.stdout, stdout=subprocess.DEVNULL)
    process.stdout.close()
    return process


def pinned(command, core):
    return ["taskset", "-c", str(core), *command]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
