#!/usr/bin/env python3
"""The price of a second replica: two gates behind HAProxy that share their tokens in Redis, against one
gate that keeps its tokens in memory.

    cargo build --release
    benches/replicas.py [--gate target/release/kinesis-gate] [--rounds 5] [--seconds 3]

The load is a consumer: each GetRecords has the iterator that an earlier response issued, and the policy
allows one stream. HAProxy balances TCP connections, with the PROXY protocol, so that half of the iterators
come to the replica that did not issue them. Every response must be a 200: a replica refuses an iterator
that it does not know as expired. Prints the CPU time per request of each process, and exits 1 if a
response was wrong. Needs what `side_by_side.py` needs, haproxy and redis-server.
"""
import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from pathlib import Path

import peers
import side_by_side as lab

READERS = """{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "kinesis:Get*",
  "Resource": "arn:aws:kinesis:us-east-1:123456789012:stream/orders"}}"""
RESPONSES = """default_type application/x-amz-json-1.1;
  if ($http_x_amz_target = Kinesis_20131202.GetRecords) { return 200 '{"Records":[],"NextShardIterator":"$request_id","MillisBehindLatest":0}'; }
  return 200 '{"ShardIterator":"$request_id"}';"""
ITERATOR_REQUEST = {"StreamName": "orders", "ShardId": "shardId-000000000000", "ShardIteratorType": "LATEST"}
# A consumer on every connection: requests an iterator, then records with the last iterator it received.
CONSUMER = """local tokens = {}
function request()
  local token = table.remove(tokens, 1)
  if not token then
    wrk.headers["X-Amz-Target"] = "Kinesis_20131202.GetShardIterator"
    return wrk.format(nil, nil, nil, [[%s]])
  end
  wrk.headers["X-Amz-Target"] = "Kinesis_20131202.GetRecords"
  return wrk.format(nil, nil, nil, '{"ShardIterator":"' .. token .. '"}')
end
function response(status, headers, body)
  local token = body:match('Iterator":"(%%w+)"')
  if token then tokens[#tokens + 1] = token end
end
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", default="target/release/kinesis-gate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    options = parser.parse_args()
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        lab.certificates(folder)
        (folder / "readers.json").write_text(READERS)
        (folder / "tokens.key").write_text("0" * 63 + "1\n")
        (folder / "tokens.key").chmod(0o600)
        upstream, store, balancer = lab.free_port(), lab.free_port(), lab.free_port()
        lab.start(running, lab.pinned(lab.nginx(folder, "upstream", upstream, RESPONSES), lab.LOAD_CORE), upstream)
        redis = lab.start(running, lab.pinned(["redis-server", "--port", str(store), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
                                              lab.PROXY_CORE), store)
        alone = lab.free_port()
        gate = lab.start(running, lab.pinned(gate_command(folder, "alone", alone, upstream, options.gate), lab.PROXY_CORE), alone)
        shared = f'tokens = {{ store = "redis", url = "redis://127.0.0.1:{store}", key-file = "tokens.key" }}'
        proxied = 'proxy-protocol = { from = ["127.0.0.0/8"] }'
        ports = [lab.free_port(), lab.free_port()]
        replicas = [lab.start(running, lab.pinned(gate_command(folder, f"replica-{number}", port, upstream, options.gate, shared, proxied),
                                                  lab.PROXY_CORE), port) for number, port in enumerate(ports)]
        haproxy = lab.start(running, lab.pinned(haproxy_command(folder, balancer, ports), lab.PROXY_CORE), balancer)
        load = consumer_script(folder)
        figures = {name: [] for name in ("one gate, in memory", "two gates, together", "Redis", "HAProxy")}
        for _ in range(options.rounds):
            figures["one gate, in memory"].append(costs(alone, load, [gate], options)[0])
            first, second, store_cost, balancer_cost = costs(balancer, load, [*replicas, redis, haproxy], options)
            figures["two gates, together"].append(first + second)
            figures["Redis"].append(store_cost)
            figures["HAProxy"].append(balancer_cost)
    base = figures["one gate, in memory"]
    print(f"CPU per request, GetRecords with the iterator of another response, {lab.CONNECTIONS} connections, {options.rounds} rounds of {options.seconds} s:")
    for name, measured in figures.items():
        ratio = statistics.median(ours / theirs for ours, theirs in zip(measured, base))
        print(f"  {name:20} {statistics.median(measured):6.1f} µs   ({min(measured):.1f} to {max(measured):.1f})   {ratio:5.2f} of one gate")


def costs(port, load, processes, options):
    """CPU microseconds of one request, for each process."""
    peers.wrk(load, port, lab.CONNECTIONS, 1)
    before = [lab.cpu_seconds(process.pid) for process in processes]
    requests, errors = peers.wrk(load, port, lab.CONNECTIONS, options.seconds)
    if errors:
        sys.exit(f"{errors} of {requests} responses on port {port} were not 200")
    return [(lab.cpu_seconds(process.pid) - start) / requests * 1e6 for process, start in zip(processes, before)]


def consumer_script(folder):
    script = peers.write_load(folder, "GetShardIterator", "", "keep-alive", json.dumps(ITERATOR_REQUEST))
    script.write_text(script.read_text() + CONSUMER % json.dumps(ITERATOR_REQUEST))
    return script


def gate_command(folder, name, port, upstream, program, top="", listener=""):
    command = lab.gate_command(folder, port, upstream, program, name, 'policy = "readers.json"')
    path = Path(command[-1])
    path.write_text(top + path.read_text().replace("[[listener]]", f"[[listener]]\n{listener}"))
    return command


def haproxy_command(folder, port, ports):
    servers = "\n".join(f"  server replica-{number} 127.0.0.1:{target} send-proxy-v2" for number, target in enumerate(ports))
    path = folder / "balancer.cfg"
    path.write_text(f"""global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen gates
  bind 127.0.0.1:{port}
  balance roundrobin
{servers}
""")
    return ["haproxy", "-db", "-f", str(path)]


if __name__ == "__main__":
    main()
