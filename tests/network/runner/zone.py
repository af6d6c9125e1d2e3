"""A private zone leads Kinesis's own name to the gate's host, for everyone on the network, the gate
too: it asks a server that knows better."""

import socket
import threading

from .client import put
from .gate import MIGHTY, Gate, configured, refused, wait_for
from .hosts import GATE, HOST, KINESIS, SERVICE

NOBODY = "192.0.2.99"
# Where the zone is served, and what Kinesis's own servers say.
PRIVATE, PUBLIC = 53, 5300


class Zone:
    """A DNS server on Kinesis's host whose answers can be changed; they are good for a second."""

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
            answer = b"".join(record + socket.inet_aton(address) for address in found)
            self.socket.sendto(head + query[12:end] + answer, client)


def taken_over(folder, service):
    Zone(PRIVATE, [GATE.address])
    public = Zone(PUBLIC, [NOBODY, SERVICE])
    listener = (f"{GATE.address}:443", "")
    with Gate(folder, GATE, configured(listener, upstream=f', dns = ["{KINESIS.address}:{PUBLIC}"]'), MIGHTY) as gate:
        for title in ("past an address that nobody has", "and again"):
            service.clear()
            found = put(folder, None)
            yield title, (found, list(service.asked), list(service.callers)), (200, [SERVICE], [GATE.address])
        service.clear()
        found = put(folder, None, stream="private")
        yield "denied: nothing goes on", (found, list(service.asked)), (400, [])
        public.addresses = [GATE.address]
        # A connection that is kept needs no address.
        service.closes = True
        statuses = []
        wait_for(lambda: statuses.append(put(folder, None)) or statuses[-1] == 503)
        yield "an answer is believed as long as it says, and a loop met later is refused", statuses[-1], 503
        # Every request has a line, and the last of them was refused.
        reason = gate.logged(3 + len(statuses))[-1].get("reason", "")
        service.closes = False
        yield "and told", f"`{GATE.address}:443`, leads back to this gate" in reason, True
    code, said = refused(folder, GATE, configured(listener), MIGHTY)
    good = code == 1 and f"`{GATE.address}:443`, leads back to this gate" in said
    yield f"without a server of its own it does not start ({HOST} is itself)", good or said, True
