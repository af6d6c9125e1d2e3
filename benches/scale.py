#!/usr/bin/env python3
"""How CPU time and memory grow with idle TLS connections, endpoints that have a policy each, principals in
the identity map, bound tokens, and event loops.

    cargo build --release
    benches/scale.py [--gate target/release/kinesis-gate] [--seconds 2] [--rounds 3] [--plot docs/scale.svg]

For each count: the CPU time of one PutRecord of 1 KiB with that number of idle connections, endpoints or
principals, of one GetRecords with that number of bound tokens, and of one PutRecord on one core and on
two; and the resident memory of the process. Every round runs each count once. Prints the tables and
writes a plot of them. Needs what `side_by_side.py` needs.
"""
import argparse
import contextlib
import http.client
import json
import resource
import socket
import ssl
import statistics
import tempfile
import time
from pathlib import Path

import peers
import side_by_side as lab

COUNTS = {"idle TLS connections": [1, 10, 100, 1_000, 9_000], "endpoints, a policy each": [1, 10, 100, 1_000, 10_000],
          "principals in the map": [1, 10, 100, 1_000, 10_000, 100_000], "bound tokens": [1, 1_000, 10_000, 100_000, 1_000_000],
          "event loops": [1, 2]}
READERS = """{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": ["kinesis:Get*", "kinesis:Put*"],
  "Resource": "arn:aws:kinesis:us-east-1:123456789012:stream/orders"}]}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", default="target/release/kinesis-gate")
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plot", default="docs/scale.svg")
    options = parser.parse_args()
    max_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))
    tables = {}
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        lab.certificates(folder)
        upstream = lab.free_port()
        # Every response issues another token.
        response = """default_type application/x-amz-json-1.1; return 200 '{"ShardIterator":"$request_id"}';"""
        lab.start(running, lab.pinned(lab.nginx(folder, "upstream", upstream, response), lab.LOAD_CORE), upstream)
        load = lab.load(folder, "orders")
        for what, counts in COUNTS.items():
            costs = {count: [] for count in counts}
            memory = {}
            for _ in range(options.rounds):
                for count in counts:
                    cost, memory[count] = measure(folder, upstream, options, load, what, count)
                    costs[count].append(cost)
            tables[what] = [(count, statistics.median(costs[count]), memory[count]) for count in counts]
            print_table(what, tables[what])
    Path(options.plot).write_text(plot(tables))


def measure(folder, upstream, options, load, what, count):
    """CPU microseconds of one request, and resident MiB before the load."""
    with contextlib.ExitStack() as running:
        port = lab.free_port()
        command = gate_command(folder, port, upstream, options.gate, what, count)
        two_cores = what == "event loops" and count == 2
        process = lab.start(running, lab.pinned(command, "0,1" if two_cores else lab.PROXY_CORE), port)
        if what == "bound tokens":
            load = bind_tokens(folder, port, count)
        if what.startswith("idle"):
            for _ in range(count):
                running.enter_context(idle_connection(port))
        time.sleep(0.5)
        memory = resident_mib(process.pid)
        return lab.cost(process, port, load, 200, options.seconds), memory


def bind_tokens(folder, port, count):
    """Has the gate bind `count` tokens, and returns a load of GetRecords with one of them."""
    iterators = peers.write_load(folder, "GetShardIterator", "", "keep-alive", '{"StreamName": "orders", "ShardId": "1", "ShardIteratorType": "LATEST"}')
    bound = 0
    while bound < count - 1:
        bound += peers.wrk(iterators, port, lab.CONNECTIONS, 1)[0]
    context = ssl._create_unverified_context()
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    connection.request("POST", "/", iterators.with_suffix(".body").read_text(), {"Host": lab.HOST} | peers.request_headers("GetShardIterator"))
    token = json.loads(connection.getresponse().read())["ShardIterator"]
    connection.close()
    return peers.write_load(folder, "GetRecords", "", "keep-alive", json.dumps({"ShardIterator": token}))


def idle_connection(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname=lab.HOST)


def gate_command(folder, port, upstream, program, what, count):
    command = lab.gate_command(folder, port, upstream, program)
    path = Path(command[-1])
    config = path.read_text()
    if what.startswith("endpoints"):
        for number in range(count - 1):
            policy = json.loads(lab.POLICY)
            policy["Statement"][0]["Resource"] = f"arn:aws:kinesis:us-east-1:123456789012:stream/tenant-{number}"
            (folder / f"policy-{number}.json").write_text(json.dumps(policy))
            config += f'[[endpoint]]\nid = "vpce-{number:017x}"\nregion = "us-east-1"\npolicy = "policy-{number}.json"\n'
    if what == "event loops":
        config = config.replace("workers = 1", f"workers = {count}")
    if what == "bound tokens":
        (folder / "policy.json").write_text(READERS)
        config = config.replace("workers = 1", "workers = 1\ntokens = { capacity = 2000000 }")
    if what.startswith("principals"):
        for number in range(count):
            config += f'[[principal]]\naccess-key-id = "AKIARZPUZDIK{number:08d}"\narn = "arn:aws:iam::123456789012:user/u{number}"\n'
    path.write_text(config)
    return command


def resident_mib(pid):
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()
    return int(fields[0]) / 1024


def print_table(what, rows):
    print(f"\n| {what} | CPU µs per request | to the first | MiB resident |\n|---:|---:|---:|---:|")
    for count, cost, memory in rows:
        print(f"| {count:,} | {cost:.1f} | {cost / rows[0][1]:.2f} | {memory:.1f} |")
    (first, _, before), (last, _, after) = rows[0], rows[-1]
    print(f"\nEach costs {(after - before) * 1024 / (last - first):.1f} KiB.", flush=True)


def plot(tables):
    """An SVG with a panel for each table: CPU per request against the count, on a logarithmic axis."""
    width, height, margin = 300, 200, 45
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * len(tables)}" height="{height + 30}" font-family="sans-serif" font-size="11">'
             f'<rect width="100%" height="100%" fill="white"/>']
    top = max(cost for rows in tables.values() for _, cost, _ in rows) * 1.25
    for place, (what, rows) in enumerate(tables.items()):
        left, decades = place * width + margin, max(len(str(rows[-1][0] - 1)), 1)

        def x(count):
            return left + (width - margin - 15) * (0 if count <= 1 else (len(str(count)) - 1 + (count / 10 ** (len(str(count)) - 1) - 1) / 9)) / decades

        def y(cost):
            return height - (height - 30) * cost / top
        points = " ".join(f"{x(count):.1f},{y(cost):.1f}" for count, cost, _ in rows)
        parts.append(f'<path d="M{left} 25V{height}H{left + width - margin - 10}" fill="none" stroke="#888"/>'
                     f'<polyline points="{points}" fill="none" stroke="#06c" stroke-width="2"/>')
        for count, cost, _ in rows:
            parts.append(f'<circle cx="{x(count):.1f}" cy="{y(cost):.1f}" r="3" fill="#06c"/>'
                         f'<text x="{x(count):.1f}" y="{height + 14}" text-anchor="middle">{count:,}</text>'
                         f'<text x="{x(count):.1f}" y="{y(cost) - 8:.1f}" text-anchor="middle" fill="#06c">{cost:.1f}</text>')
        parts.append(f'<text x="{left}" y="15">CPU µs per request by {what}</text>')
    return "".join(parts) + "</svg>\n"


if __name__ == "__main__":
    main()
