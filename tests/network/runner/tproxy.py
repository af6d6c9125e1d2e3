"""The gate on the way: it routes for the client's host, and netfilter hands it what goes to Kinesis."""

from .client import put
from .gate import MIGHTY, Gate, configured
from .hosts import CLIENT, ELSEWHERE, ELSEWHERE6, GATE, KINESIS, SERVICE, SERVICE6, lead

PORT = 16443
MARK = 7
RULES = f"""
table ip gate {{
  chain in {{
    type filter hook prerouting priority mangle;
    ip daddr 192.0.2.0/24 tcp dport 443 meta mark set {MARK} tproxy to 127.0.0.1:{PORT} accept
  }}
}}
table ip6 gate {{
  chain in {{
    type filter hook prerouting priority mangle;
    ip6 daddr 2001:db8::/64 tcp dport 443 meta mark set {MARK} tproxy to [::1]:{PORT} accept
  }}
}}
"""
# What is marked is for this host, whatever its address.
HERE = [f"rule add fwmark {MARK} lookup 100", "route add local default dev lo table 100"]
INTERCEPT = 'intercept = "tproxy"'
TEXT = configured((f"127.0.0.1:{PORT}", INTERCEPT), (f"[::1]:{PORT}", INTERCEPT))


def handed_over(folder, service):
    for command in HERE:
        GATE.ip(command)
        GATE.ip(f"-6 {command}")
    GATE.rules(RULES)
    lead(CLIENT, GATE)
    try:
        with Gate(folder, GATE, TEXT, prefix=MIGHTY):
            for title, address, stream, expected in (
                ("allowed: on to where the client was going", SERVICE, "orders", (200, [SERVICE], [GATE.address])),
                ("another address of the service: on to that one", ELSEWHERE, "orders", (200, [ELSEWHERE], [GATE.address])),
                ("over IPv6", SERVICE6, "orders", (200, [SERVICE6], [GATE.address6])),
                ("another address, over IPv6", ELSEWHERE6, "orders", (200, [ELSEWHERE6], [GATE.address6])),
                ("denied: nothing goes on", SERVICE, "private", (400, [], [])),
                ("denied, over IPv6", SERVICE6, "private", (400, [], [])),
            ):
                service.clear()
                found = put(folder, address, stream=stream)
                yield title, (found, list(service.asked), list(service.callers)), expected
            service.clear()
            for title, address in (("not handed over: refused", "127.0.0.1"), ("and over IPv6", "::1")):
                found = put(folder, address, PORT, host=GATE)
                yield title, (found, list(service.asked)), (None, [])
    finally:
        GATE.rules("")
        lead(CLIENT, KINESIS)
