"""`intercept = "tproxy"`: the gate is a router, and netfilter redirects connections to Kinesis to it."""

from .client import put
from .gate import PRIVILEGED, Gate, config
from .hosts import CLIENT, ELSEWHERE, ELSEWHERE6, GATE, KINESIS, SERVICE, SERVICE6, route

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
# Marked packets are for this host, whatever their address.
LOCAL_ROUTES = [f"rule add fwmark {MARK} lookup 100", "route add local default dev lo table 100"]
INTERCEPT = 'intercept = "tproxy"'
TEXT = config((f"127.0.0.1:{PORT}", INTERCEPT), (f"[::1]:{PORT}", INTERCEPT))


def from_router(folder, service):
    for command in LOCAL_ROUTES:
        GATE.ip(command)
        GATE.ip(f"-6 {command}")
    GATE.set_rules(RULES)
    route(CLIENT, GATE)
    try:
        with Gate(folder, GATE, TEXT, prefix=PRIVILEGED):
            for title, address, stream, expected in (
                ("allowed: forwarded to the original destination", SERVICE, "orders", (200, [SERVICE], [GATE.address])),
                ("another address of the service: forwarded to that one", ELSEWHERE, "orders", (200, [ELSEWHERE], [GATE.address])),
                ("over IPv6", SERVICE6, "orders", (200, [SERVICE6], [GATE.address6])),
                ("another address, over IPv6", ELSEWHERE6, "orders", (200, [ELSEWHERE6], [GATE.address6])),
                ("denied: not forwarded", SERVICE, "private", (400, [], [])),
                ("denied, over IPv6", SERVICE6, "private", (400, [], [])),
            ):
                service.clear()
                found = put(folder, address, stream=stream)
                yield title, (found, list(service.addresses), list(service.callers)), expected
            service.clear()
            for title, address in (("not redirected: refused", "127.0.0.1"), ("and over IPv6", "::1")):
                found = put(folder, address, PORT, host=GATE)
                yield title, (found, list(service.addresses)), (None, [])
    finally:
        GATE.set_rules("")
        route(CLIENT, KINESIS)
