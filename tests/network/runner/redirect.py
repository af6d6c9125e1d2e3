"""The gate beside a workload: netfilter redirects what leaves the host for Kinesis."""

from .client import put
from .gate import USER, Gate, configured
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
TEXT = configured((f"127.0.0.1:{PORT}", INTERCEPT), (f"[::1]:{PORT}", INTERCEPT))


def redirected(folder, service):
    """Title, what came of it, and what was expected."""

    def case(title, address, expected, name="kinesis.us-east-1.amazonaws.com", stream="orders", port=443):
        service.clear()
        found = put(folder, address, port, name, stream)
        return title, (found, list(service.asked)), expected

    CLIENT.rules(RULES)
    try:
        with Gate(folder, CLIENT, TEXT):
            yield case("allowed: on to where the client was going", SERVICE, (200, [SERVICE]))
            yield case("another address of the service: on to that one", ELSEWHERE, (200, [ELSEWHERE]))
            yield case("over IPv6", SERVICE6, (200, [SERVICE6]))
            yield case("denied: nothing goes on", SERVICE, (400, []), stream="private")
            yield case("no Kinesis name: refused", SERVICE, (None, []), name="sts.us-east-1.amazonaws.com")
            yield case("not redirected: refused", "127.0.0.1", (None, []), port=PORT)
            yield case("not redirected, over IPv6: refused", "::1", (None, []), port=PORT)
    finally:
        CLIENT.rules("")


def caught(folder, service):
    """The rules lack the exception of the gate's user: they lead it to itself."""
    CLIENT.rules(RULES)
    try:
        with Gate(folder, CLIENT, TEXT, prefix=[]) as gate:
            found = put(folder, SERVICE)
            yield "its own connection is dropped", (found, list(service.asked)), (503, [])
            kinds = {line.get("kind") or line.get("upstream_failure") for line in gate.logged(2)}
            yield "and told as a loop, on both sides", kinds, {"loop"}
    finally:
        CLIENT.rules("")
