"""The client: one PutRecord on a new connection."""

import http.client
import json
import socket
import ssl

from .hosts import CLIENT, HOST

CREDENTIAL = "Credential=AKIARZPUZDIKGB2VALC4/20261123/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature="
HEADERS = {
    "Content-Type": "application/x-amz-json-1.1",
    "X-Amz-Target": "Kinesis_20131202.PutRecord",
    "X-Amz-Date": "20261123T000000Z",
    "Authorization": f"AWS4-HMAC-SHA256 {CREDENTIAL}{'0' * 64}",
}


def put(folder, address, port=443, name=HOST, stream="orders", host=CLIENT):
    """The status of a PutRecord from `host`; None if the connection fails. Without an address, the host
    resolves `name`."""
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    body = json.dumps({"StreamName": stream, "Data": "aA==", "PartitionKey": "1"})

    def work():
        with socket.create_connection((address or name, port), 10) as tcp:
            with context.wrap_socket(tcp, server_hostname=name) as tls:
                connection = http.client.HTTPConnection(name)
                connection.sock = tls
                connection.request("POST", "/", body, {"Host": name, **HEADERS})
                return connection.getresponse().status

    try:
        return host.within(work)
    except (OSError, http.client.HTTPException):
        return None


def received_after(header, address, port):
    """The first byte that the gate sends after `header`; empty if it closes the connection."""

    def work():
        with socket.create_connection((address, port), 10) as tcp:
            tcp.sendall(header)
            try:
                return tcp.recv(1)
            except ConnectionResetError:
                return b""

    return CLIENT.within(work)
