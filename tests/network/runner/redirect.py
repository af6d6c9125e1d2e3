"""`intercept = "redirect"`: the gate is on the client's host, and netfilter redirects connections to Kinesis."""

from .client import put
from .gate import USER, Gate, config
from .hosts import CLIENT, ELSEWHERE, SERVICE, SERVICE6

PORT = 15443
RULES = f"""
table ip gate {{
  chain out {{
    type nat hook output priority -100;
    meta skuid {USER} return
    ip daddr 192.0.2.0/24 tcp dport 443 redirect to :{PORT}
  }}
}}
table ip6 gate {{
  chain out {{
    type nat hook output priority -100;
    meta skuid {USER} return
    ip6 daddr 2001:db8::/64 tcp dport 443 redirect to :{PORT}
  }}
}}
"""
INTERCEPT = 'intercept = "redirect"'
TEXT = config((f"127.0.0.1:{PORT}", INTERCEPT), (f"[::1]:{PORT}", INTERCEPT))


def from_client_host(folder, service):
    """Yields the title, the result and the expected result of each case."""

    def case(title, address, expected, name="kinesis.us-east-1.amazonaws.com", stream="orders", port=443):
        service.clear()
        found = put(folder, address, port, name, stream)
        return title, (found, list(service.addresses)), expected

    CLIENT.set_rules(RULES)
    try:
        with Gate(folder, CLIENT, TEXT):
            yield case("allowed: forwarded to the original destination", SERVICE, (200, [SERVICE]))
            yield case("another address of the service: forwarded to that one", ELSEWHERE, (200, [ELSEWHERE]))
            yield case("over IPv6", SERVICE6, (200, [SERVICE6]))
            yield case("denied: not forwarded", SERVICE, (400, []), stream="private")
            yield case("no Kinesis name: refused", SERVICE, (None, []), name="sts.us-east-1.amazonaws.com")
            yield case("not redirected: refused", "127.0.0.1", (None, []), port=PORT)
            yield case("not redirected, over IPv6: refused", "::1", (None, []), port=PORT)
    finally:
        CLIENT.set_rules("")


def gate_in_loop(folder, service):
    """The gate does not run as its exempt user: netfilter redirects its own connections to it."""
    CLIENT.set_rules(RULES)
    try:
        with Gate(folder, CLIENT, TEXT, prefix=[]) as gate:
            found = put(folder, SERVICE)
            yield "its own connection is dropped", (found, list(service.addresses)), (503, [])
            kinds = {line.get("kind") or line.get("upstream_failure") for line in gate.records(2)}
            yield "and logged as a loop, on both sides", kinds, {"loop"}
    finally:
        CLIENT.set_rules("")
