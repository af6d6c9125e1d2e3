"""Load balancers on the gate's host send the client's address in PROXY headers."""

import socket
import subprocess

from .client import put, received_after
from .gate import Gate, config, wait_for
from .hosts import CLIENT, GATE, SERVICE

PORT = 17443
BALANCERS = {"HAProxy, version 1": 8001, "HAProxy, version 2": 8002, "nginx, version 1": 8003}
HAPROXY = f"""defaults
  mode tcp
  timeout connect 5s
  timeout client 20s
  timeout server 20s
listen one
  bind {GATE.address}:8001
  server gate 127.0.0.1:{PORT} send-proxy
listen two
  bind {GATE.address}:8002
  server gate 127.0.0.1:{PORT} send-proxy-v2 check check-send-proxy inter 200ms fall 1
"""
NGINX = f"""load_module /usr/lib/nginx/modules/ngx_stream_module.so;
user root; daemon off; worker_processes 1; pid nginx.pid; error_log nginx.err;
events {{}}
stream {{ server {{ listen {GATE.address}:8003; proxy_pass 127.0.0.1:{PORT}; proxy_protocol on; }} }}
"""
TEXT = config((f"0.0.0.0:{PORT}", 'proxy-protocol = { from = ["127.0.0.1"] }'), upstream=f', addresses = ["{SERVICE}"]')


def with_proxy_headers(folder, service):
    (folder / "haproxy.cfg").write_text(HAPROXY)
    (folder / "nginx.conf").write_text(NGINX)
    commands = ["haproxy", "-db", "-f", "haproxy.cfg"], ["nginx", "-p", f"{folder}/", "-c", "nginx.conf"]
    service.clear()
    with Gate(folder, GATE, TEXT) as gate, open(folder / "balancers.err", "wb") as errors:
        running = [subprocess.Popen(GATE.command(*each), cwd=folder, stdout=errors, stderr=errors) for each in commands]
        try:
            for title, port in BALANCERS.items():
                wait_for(lambda: listens(port))
                allowed = put(folder, GATE.address, port)
                denied = put(folder, GATE.address, port, stream="private")
                yield title, (allowed, denied), (200, 400)
            checks = wait_for(lambda: gate.metric("kinesis_gate_health_checks_total"))
            yield "HAProxy's health checks are counted apart from clients", checks > 0, True
            spoofed = received_after(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n", GATE.address, PORT)
            dropped = gate.metric('kinesis_gate_connections_dropped_total{kind="proxy-source"}')
            yield "a header from elsewhere: refused", (spoofed, dropped), (b"", 1)
            none = put(folder, "127.0.0.1", PORT, host=GATE)
            yield "no header: refused", (none, len(service.addresses)), (None, len(BALANCERS))
        finally:
            for each in running:
                each.terminate()
                each.wait(10)
        peers = {line["peer"] for line in gate.records(2 * len(BALANCERS)) if "status" in line}
        yield "the peer is the client of the balancers", peers, {CLIENT.address}


def listens(port):
    def work():
        with socket.socket() as tcp:
            return tcp.connect_ex((GATE.address, port)) == 0

    return GATE.within(work)
