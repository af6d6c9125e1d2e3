"""A stand-in for Kinesis, which records where each request arrives and from whom."""

import http.server
import socket
import ssl
import threading

from .hosts import ELSEWHERE, ELSEWHERE6, KINESIS, SERVICE, SERVICE6

RESPONSE = b'{"SequenceNumber":"1","ShardId":"shardId-000000000000"}'


class Service:
    def __init__(self, folder):
        # The local and the remote address of each request.
        self.addresses, self.callers = [], []
        # Whether each response closes its connection.
        self.closes = False
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                service.addresses.append(self.connection.getsockname()[0])
                service.callers.append(self.client_address[0])
                self.send_response(200)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(RESPONSE)))
                if service.closes:
                    self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(RESPONSE)

            def log_message(self, *_):
                pass

        class Server6(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "service.pem", folder / "service-key.pem")
        for address in (SERVICE, ELSEWHERE, SERVICE6, ELSEWHERE6):
            kind = Server6 if ":" in address else http.server.ThreadingHTTPServer
            server = KINESIS.within(lambda: kind((address, 443), Handler))
            server.socket = context.wrap_socket(server.socket, server_side=True)
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def clear(self):
        self.addresses.clear()
        self.callers.clear()
