"""A private zone resolves Kinesis's own name to the gate, for all hosts of the network. The gate resolves
the name with a server of its own (`dns`)."""

import socket
import threading

from .client import put
from .gate import PRIVILEGED, Gate, config, start_error, wait_for
from .hosts import GATE, HOST, KINESIS, SERVICE

UNUSED = "192.0.2.99"
# The ports of the private zone and of the public one.
PRIVATE, PUBLIC = 53, 5300


class Zone:
    """A DNS server on Kinesis's host. Its addresses can change; their TTL is one second."""

    def __init__(self, port, addresses, at=KINESIS.address):
        self.addresses = addresses
        self.socket = KINESIS.within(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.socket.bind((at, port))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            query, client = self.socket.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            found = self.addresses if query[end - 4 : end - 2] == b"\0\1" else []
            head = query[:2] + b"\x81\x80\0\1" + len(found).to_bytes(2, "big") + bytes(4)
            record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4"
            answers = b"".join(record + socket.inet_aton(address) for address in found)
            self.socket.sendto(head + query[12:end] + answers, client)


def from_private_zone(folder, service):
    Zone(PRIVATE, [GATE.address])
    public = Zone(PUBLIC, [UNUSED, SERVICE])
    listener = (f"{GATE.address}:443", "")
    with Gate(folder, GATE, config(listener, upstream=f', dns = ["{KINESIS.address}:{PUBLIC}"]'), PRIVILEGED) as gate:
        for title in ("the next address after one that fails", "and again"):
            service.clear()
            found = put(folder, None)
            yield title, (found, list(service.addresses), list(service.callers)), (200, [SERVICE], [GATE.address])
        service.clear()
        found = put(folder, None, stream="private")
        yield "denied: not forwarded", (found, list(service.addresses)), (400, [])
        public.addresses = [GATE.address]
        # Without this, a keep-alive connection needs no address.
        service.closes = True
        statuses = []
        wait_for(lambda: statuses.append(put(folder, None)) or statuses[-1] == 503)
        yield "the addresses are used for their TTL, then the loop is refused", statuses[-1], 503
        # Every request has a record, and the last request was refused.
        reason = gate.records(3 + len(statuses))[-1].get("reason", "")
        service.closes = False
        yield "and logged", f"`{GATE.address}:443`, leads back to this gate" in reason, True
    code, message = start_error(folder, GATE, config(listener), PRIVILEGED)
    good = code == 1 and f"`{GATE.address}:443`, leads back to this gate" in message
    yield f"without a server of its own the gate does not start ({HOST} is itself)", good or message, True
