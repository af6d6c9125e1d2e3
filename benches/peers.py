#!/usr/bin/env python3
"""Compares the CPU time per request of the gate, nginx, HAProxy and Envoy, in a Markdown table.

    cargo build --release
    benches/peers.py [--gate target/release/kinesis-gate] [--rounds 5] [--seconds 2] [--envoy PATH] [--openssl FOLDER] [--only TEXT] [NAME=GATE ...]

`nginx` and `haproxy` are plain TLS proxies; `haproxy-policy` and `envoy-policy` compare action and
stream with a list (json_query; a text search in Lua). The gate enforces its policy and logs every
decision. Proxies that are not installed are left out. NAME=GATE adds another build of the gate.
`--openssl` is a folder of newer libraries for nginx and HAProxy. Every proxy has one thread on one core,
TLS 1.3 on both sides and a verified upstream; load and upstream share another core. Every round runs each
proxy once, in turns; a ratio is the median of the ratios within the rounds. Needs what `side_by_side.py`
needs, and h2load for HTTP/2.
"""
import argparse
import contextlib
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import side_by_side as lab

TARGET = "Kinesis_20131202."
DENIED = '{"__type":"AccessDeniedException"}'
JSON = "application/x-amz-json-1.1"
CBOR = "application/x-amz-cbor-1.1"
# The response of GetRecords is a megabyte; every other response is a sequence number.
RESPONSES = """if ($http_x_amz_target = Kinesis_20131202.GetRecords) { rewrite ^ /response.json last; }
  return 200 '{"SequenceNumber":"1","ShardId":"shardId-000000000000"}'; }
  location = /response.json { root %s; error_page 405 =200 /response.json; """
RESPONSE = json.dumps({"Records": [{"Data": "QUJD" * 500, "PartitionKey": "1"}] * 490, "MillisBehindLatest": 0})
# Name, operation, bytes of data, stream, connections, the goal (the highest ratio to nginx).
WORKLOADS = [("PutRecord 1 KiB", "PutRecord", 768, "orders", 32, 0.65), ("PutRecords 64 KiB", "PutRecords", 60_000, "orders", 32, 0.80),
             ("PutRecords 1 MB", "PutRecords", 990_000, "orders", 16, 1.00), ("GetRecords, 1 MB answered", "GetRecords", 0, "orders", 16, 0.90),
             ("denied 1 KiB", "PutRecord", 768, "private", 32, 0.35), ("a TLS connection each", "PutRecord", 768, "orders", 32, 0.57),
             ("HTTP/2, 32 streams", "PutRecord", 768, "orders", 1, 0.58), ("PutRecords 64 KiB in CBOR", "PutRecords", 60_000, "orders", 32, 0.85)]
# Words in the names of the proxies that enforce the policy.
ENFORCING = ("gate", "policy")
PEERS = ("nginx", "haproxy", "envoy")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gate", default="target/release/kinesis-gate")
    parser.add_argument("--envoy", default=shutil.which("envoy") or "")
    parser.add_argument("--openssl")
    parser.add_argument("--only", default="", help="workloads whose names contain this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("others", nargs="*", metavar="NAME=GATE")
    options = parser.parse_args()
    gates = {"gate": options.gate} | dict(other.split("=", 1) for other in options.others)
    with contextlib.ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        lab.certificates(folder)
        (folder / "both.pem").write_text((folder / "leaf.pem").read_text() + (folder / "key.pem").read_text())
        (folder / "response.json").write_text(RESPONSE)
        upstream = lab.free_port()
        lab.start(running, lab.pinned(lab.nginx(folder, "upstream", upstream, RESPONSES % folder), lab.LOAD_CORE), upstream)
        proxies = {}
        newer = ["env", f"LD_LIBRARY_PATH={options.openssl}"] if options.openssl else []
        for name, command in commands(folder, upstream, gates, options.envoy):
            port = lab.free_port()
            linked = newer if name.startswith(("nginx", "haproxy")) else []
            proxies[name] = lab.start(running, lab.pinned([*linked, *command(port)], lab.PROXY_CORE), port), port
        print("| CPU per request, µs (ratio to nginx, no policy) | goal | " + " | ".join(proxies) + " |\n|---|---:" + "|---:" * len(proxies) + "|")
        for workload in (each for each in WORKLOADS if options.only in each[0]):
            print_row(folder, workload, proxies, options)


def print_row(folder, workload, proxies, options):
    name, operation, size, stream, connections, goal = workload
    script = workload_script(folder, workload)
    figures = {proxy: [] for proxy in proxies}
    for number in range(options.rounds):
        for proxy in list(proxies) if number % 2 == 0 else reversed(proxies):
            process, port = proxies[proxy]
            denies = stream != "orders" and any(word in proxy for word in ENFORCING)
            if "CBOR" in name and "policy" in proxy:
                # No peer parses CBOR.
                figures[proxy].append(None)
                continue
            figures[proxy].append(cost(process, port, script, name, denies, connections, options.seconds, not proxy.startswith(PEERS)))
    cells = []
    for proxy, costs in figures.items():
        if None in costs:
            cells.append("not there")
            continue
        ratio = statistics.median(ours / theirs for ours, theirs in zip(costs, figures["nginx"])) if None not in figures["nginx"] else 0
        cells.append(f"{statistics.median(costs):.1f} ±{(max(costs) - min(costs)) / 2 / statistics.median(costs) * 100:.0f}% ({ratio:.2f})")
    print(f"| {name} | {goal:.2f} | " + " | ".join(cells) + " |", flush=True)


def cost(process, port, script, name, denies, connections, seconds, is_gate=True):
    """CPU microseconds of one request; None where the proxy does not speak the protocol. A wrong response
    of the gate ends the run; one of a peer is a warning."""
    run = http2 if "HTTP/2" in name else wrk
    if run(script, port, connections, 1) is None:
        return None
    before = lab.cpu_seconds(process.pid)
    requests, errors = run(script, port, connections, seconds)
    after = lab.cpu_seconds(process.pid)
    wrong = abs(errors - (requests if denies else 0))
    if wrong:
        message = f"{name}: {wrong} of {requests} responses of {process.args} were wrong"
        sys.exit(message) if is_gate else print(message, file=sys.stderr)
    return (after - before) / requests * 1e6


def workload_script(folder, workload):
    name, operation, size, stream, _, _ = workload
    cbor = "CBOR" in name
    body = (cbor_body if cbor else json_body)(operation, size, stream)
    return write_load(folder, operation, stream, "close" if "each" in name else "keep-alive", body, CBOR if cbor else JSON)


def cbor_body(operation, size, stream):
    """The body as the Java SDK writes it: lists and maps of indefinite length, byte strings without base64."""
    def text(value):
        return (bytes([0x60 + len(value)]) if len(value) < 24 else bytes([0x78, len(value)])) + value.encode()
    data = b"ABC" * 500
    record = b"\xbf" + text("Data") + b"\x59" + len(data).to_bytes(2, "big") + data + text("PartitionKey") + text("user:1") + b"\xff"
    return b"\xbf" + text("Records") + b"\x9f" + record * (size // len(data)) + b"\xff" + text("StreamName") + text(stream) + b"\xff"


def json_body(operation, size, stream):
    if operation == "GetRecords":
        return json.dumps({"ShardIterator": "AAAAAAAAAAE" + "QUJD" * 40, "StreamARN": f"arn:aws:kinesis:us-east-1:123456789012:stream/{stream}"})
    if operation == "PutRecord":
        return json.dumps({"Data": "QUJD" * (size // 3), "PartitionKey": "user:1", "StreamName": stream})
    record = {"Data": "QUJD" * 500, "PartitionKey": "user:1"}
    return json.dumps({"Records": [record] * (size // 2000), "StreamName": stream})


def request_headers(operation):
    signature = "AWS4-HMAC-SHA256 Credential=AKIARZPUZDIKGB2VALC4/20261123/us-east-1/kinesis/aws4_request, " \
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=" + "0" * 64
    return {"X-Amz-Target": TARGET + operation, "X-Amz-Date": "20261123T120000Z", "Content-Type": JSON, "Authorization": signature,
            "X-Amz-Security-Token": "FwoGZXIvYXdzE" + "QUJD" * 190, "User-Agent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux",
            "amz-sdk-invocation-id": "11111111-2222-3333-4444-555555555555", "amz-sdk-request": "attempt=1; max=5"}


def write_load(folder, operation, stream, connection, body, content_type=JSON, extra=()):
    """Writes the request for wrk, and its parts for h2load, and returns the script of wrk. `extra` headers
    replace others of the same name."""
    body = body if isinstance(body, bytes) else body.encode()
    script = folder / f"{operation}-{len(body)}-{stream}-{connection}.lua"
    script.with_suffix(".body").write_bytes(body)
    headers = request_headers(operation) | {"Content-Type": content_type} | dict(extra)
    script.with_suffix(".json").write_text(json.dumps(headers))
    lines = "".join(f'["{name}"] = "{value}", ' for name, value in ({"Host": lab.HOST, "Connection": connection} | headers).items())
    script.write_text(f"""wrk.method = "POST"
wrk.body = io.open("{script.with_suffix(".body")}", "rb"):read("*a")
wrk.headers = {{ {lines} }}
function done(summary)
  local errors = summary.errors
  print(string.format("done %d %d", summary.requests, errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
""")
    return script


def wrk(script, port, connections, seconds):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), f"https://127.0.0.1:{port}/"]
    out = subprocess.run(lab.pinned(command, lab.LOAD_CORE), check=True, capture_output=True, text=True, timeout=seconds + 30).stdout
    requests, errors = re.search(r"done (\d+) (\d+)", out).groups()
    return int(requests), int(errors)


def http2(script, port, connections, seconds):
    if not shutil.which("h2load"):
        return None
    command = ["h2load", "-t1", "-D", str(seconds), f"-c{connections}", "-m32", "-d", str(script.with_suffix(".body")), "-H", f":authority: {lab.HOST}"]
    for name, value in json.loads(script.with_suffix(".json").read_text()).items():
        command += ["-H", f"{name.lower()}: {value}"]
    out = subprocess.run(lab.pinned(command + [f"https://localhost:{port}/"], lab.LOAD_CORE), capture_output=True, text=True, timeout=seconds + 60).stdout
    codes = re.search(r"status codes: (\d+) 2xx, \d+ 3xx, (\d+) 4xx, (\d+) 5xx", out)
    if "Application protocol: h2" not in out or not codes:
        return None
    good, bad, worse = map(int, codes.groups())
    return (good + bad + worse, bad + worse) if good + bad + worse else None


def commands(folder, upstream, gates, envoy):
    """The name of each proxy, and a function from a port to the command that starts it."""
    for name, program in gates.items():
        yield name, lambda port, program=program, name=name: lab.gate_command(folder, port, upstream, program, name)
    yield "nginx", lambda port: lab.plain_proxy(folder, port, upstream)
    if shutil.which("haproxy"):
        yield "haproxy", lambda port: haproxy(folder, port, upstream, "haproxy", "")
        rules = f"""http-request return status 400 content-type {JSON} string '{DENIED}' if !{{ hdr(x-amz-target) {TARGET}PutRecord {TARGET}PutRecords {TARGET}GetRecords }}
  http-request wait-for-body time 30s
  http-request set-var(txn.stream) req.body,json_query('$.StreamName')
  http-request return status 400 content-type {JSON} string '{DENIED}' if !{{ var(txn.stream) -m str orders }} !{{ hdr(x-amz-target) {TARGET}GetRecords }}"""
        yield "haproxy-policy", lambda port: haproxy(folder, port, upstream, "haproxy-policy", rules)
    if envoy:
        yield "envoy-policy", lambda port: envoy_command(folder, port, upstream, envoy)


def haproxy(folder, port, upstream, name, rules):
    path = folder / f"{name}.cfg"
    path.write_text(f"""global
  nbthread 1
  {"tune.bufsize 2097152" if rules else ""}
defaults
  mode http
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:{port} ssl crt {folder}/both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.3
  {rules}
  default_backend b
backend b
  server s 127.0.0.1:{upstream} ssl verify required ca-file {folder}/ca.pem sni str({lab.HOST}) verifyhost {lab.HOST} alpn http/1.1 pool-max-conn 256
""")
    return ["haproxy", "-db", "-f", str(path)]


def envoy_command(folder, port, upstream, program):
    api = "type.googleapis.com/envoy.extensions."
    script = f"""function envoy_on_request(request)
  local action = request:headers():get("x-amz-target") or ""
  local body = request:body()
  local text = body and body:getBytes(0, body:length()) or ""
  local stream = text:match('"StreamName"%s*:%s*"([%w_.-]+)"')
  if action ~= "{TARGET}GetRecords" and (not action:match("^{TARGET}PutRecords?$") or stream ~= "orders") then
    request:respond({{[":status"] = "403", ["content-type"] = "{JSON}"}}, '{DENIED}')
  end
end"""
    manager = {"@type": api + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "in", "generate_request_id": False,
               "route_config": {"virtual_hosts": [{"name": "v", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "up"}}]}]},
               "http_filters": [{"name": "lua", "typed_config": {"@type": api + "filters.http.lua.v3.Lua", "default_source_code": {"inline_string": script}}},
                                {"name": "router", "typed_config": {"@type": api + "filters.http.router.v3.Router"}}]}
    down = {"@type": api + "transport_sockets.tls.v3.DownstreamTlsContext", "common_tls_context": {
        "alpn_protocols": ["h2", "http/1.1"], "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [{"certificate_chain": {"filename": f"{folder}/leaf.pem"}, "private_key": {"filename": f"{folder}/key.pem"}}]}}
    up = {"@type": api + "transport_sockets.tls.v3.UpstreamTlsContext", "sni": lab.HOST, "common_tls_context": {
        "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"}, "validation_context": {"trusted_ca": {"filename": f"{folder}/ca.pem"}}}}

    def address(number):
        return {"socket_address": {"address": "127.0.0.1", "port_value": number}}
    path = folder / "envoy.json"
    path.write_text(json.dumps({"static_resources": {
        "listeners": [{"name": "l", "address": address(port), "per_connection_buffer_limit_bytes": 16 << 20, "filter_chains": [{
            "transport_socket": {"name": "tls", "typed_config": down}, "filters": [{"name": "http", "typed_config": manager}]}]}],
        "clusters": [{"name": "up", "type": "STATIC", "transport_socket": {"name": "tls", "typed_config": up}, "load_assignment": {
            "cluster_name": "up", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(upstream)}}]}]}}]}}))
    return [program, "-c", str(path), "--concurrency", "1", "--use-dynamic-base-id", "--disable-hot-restart", "--log-level", "error"]


if __name__ == "__main__":
    main()
