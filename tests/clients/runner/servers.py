"""The processes of a test: a throw-away CA, the emulators, and the gate."""

import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import time
import urllib.request

from .cases import ACCOUNT, ENDPOINTS, PRINCIPALS, REGION, access_key
from .install import HERE

POLICIES = HERE.parent.parent / "config" / "policies"

# The services that moto emulates: DynamoDB for the leases of the KCL, CloudWatch for metrics.
MOTO = ["dynamodb", "monitoring"]

# The address of each endpoint for Kinesis's own names, on port 443.
ADDRESSES = {name: f"127.0.0.{number}" for number, name in enumerate(ENDPOINTS, 2)}


class Server:
    """A process, with its output in two files; it is ended by its id."""

    # A server that ends with this one.
    upstream = None

    def __init__(self, name, command, folder, cwd=None, env=None, input=subprocess.DEVNULL):
        self.log, self.errors = folder / f"{name}.out", folder / f"{name}.err"
        with open(self.log, "wb") as out, open(self.errors, "wb") as err:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=input, stdout=out, stderr=err, cwd=cwd, env=env
            )

    def wait_for(self, ready, seconds=30):
        deadline = time.monotonic() + seconds
        while not (found := ready()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.errors}: not ready\n{self.errors.read_text()[-2000:]}")
            time.sleep(0.05)
        return found

    def stop(self):
        if self.upstream:
            self.upstream.stop()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait(15)


def authority(folder):
    """Writes `ca.pem` and `ca-key.pem`, `localhost.pem` and its key for upstreams, `trust.p12` for Java."""
    ca = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    certificate(folder, "kinesis-gate tests", "ca-key.pem", "ca.pem", ca)
    leaf_certificate(folder, "localhost", ["DNS:localhost", "IP:127.0.0.1"])
    store = ["-keystore", "trust.p12", "-storepass", "changeit"]
    run(folder, ["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem", *store])


def leaf_certificate(folder, name, subjects):
    """Writes a server's certificate from the CA, and its key."""
    names = ["-addext", f"subjectAltName={','.join(subjects)}", "-addext", "basicConstraints=critical,CA:FALSE"]
    certificate(folder, name, f"{name}-key.pem", f"{name}.pem", ["-CA", "ca.pem", "-CAkey", "ca-key.pem", *names])


def certificate(folder, subject, key, file, more):
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    run(folder, [*new, "-subj", f"/CN={subject}", "-keyout", key, "-out", file, *more])


def run(folder, command):
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


def ferrokinesis(tool, folder):
    port = free_port()
    tls = ["--tls-cert", folder / "localhost.pem", "--tls-key", folder / "localhost-key.pem"]
    without_delay = ["--create-stream-ms", "0", "--delete-stream-ms", "0", "--update-stream-ms", "0"]
    options = ["--port", port, "--account-id", ACCOUNT, "--region", REGION, "--shard-limit", "1000"]
    command = [tool / "bin/ferrokinesis", *options, *without_delay, *tls]
    return wait_for_tls(Server("ferrokinesis", command, folder), port, folder)


def rpc_v2(tool, folder):
    """ferrokinesis behind a translator of Smithy RPC v2 CBOR."""
    emulator, port = ferrokinesis(tool, folder)
    tls = [folder / "localhost-key.pem", folder / "localhost.pem", folder / "ca.pem"]
    server = Server("rpc-v2", ["node", HERE / "rpc-v2/upstream.mjs", *tls, port], folder)
    server.upstream = emulator
    return server, int(server.wait_for(lambda: server.log.read_text()))


def kinesis_local(tool, folder):
    port = free_port()
    pem = {"key": (folder / "localhost-key.pem").read_text(), "cert": (folder / "localhost.pem").read_text()}
    (folder / "server.json").write_text(json.dumps({"server": pem}))
    without_delay = ["CREATE_STREAM", "DELETE_STREAM", "REGISTER_STREAM_CONSUMER", "DEREGISTER_STREAM_CONSUMER"]
    settings = {
        "PATH": os.environ["PATH"],
        "KINESIS_MOCK_CERT_PATH": str(folder / "server.json"),
        "KINESIS_MOCK_TLS_PORT": str(port),
        "KINESIS_MOCK_PLAIN_PORT": str(free_port()),
        "AWS_ACCOUNT_ID": ACCOUNT,
        "AWS_REGION": REGION,
        "SHARD_LIMIT": "1000",
        **{f"{each}_DURATION": "1ms" for each in without_delay},
    }
    package = tool / "node_modules/kinesis-local"
    return wait_for_tls(Server("kinesis-local", ["node", "main.js"], folder, cwd=package, env=settings), port, folder)


def moto(tool, folder, address):
    """DynamoDB and CloudWatch under their own names, at port 443 of an address."""
    leaf_certificate(folder, "moto", [f"DNS:{service}.{REGION}.amazonaws.com" for service in MOTO])
    tls = ["--ssl-cert", folder / "moto.pem", "--ssl-key", folder / "moto-key.pem"]
    server = Server("moto", [tool / "bin/moto_server", "--host", address, "--port", 443, *tls], folder)

    def is_listening():
        with socket.socket() as probe:
            return probe.connect_ex((address, 443)) == 0

    server.wait_for(is_listening)
    return server


def wait_for_tls(server, port, folder):
    context = ssl.create_default_context(cafile=folder / "ca.pem")

    def is_listening():
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as plain:
                with context.wrap_socket(plain, server_hostname="localhost"):
                    return True
        except OSError:
            return False

    server.wait_for(is_listening)
    return server, port


def create_stream(port, folder, name, shards=1):
    """Creates a stream at the emulator, not through the gate. The emulator requires a signature, but does
    not verify it."""
    credential = f"Credential={access_key(0)}/20261123/{REGION}/kinesis/aws4_request, SignedHeaders=host, Signature=0"
    headers = {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": "Kinesis_20131202.CreateStream",
        "X-Amz-Date": "20261123T000000Z",
        "Authorization": f"AWS4-HMAC-SHA256 {credential}",
    }
    body = json.dumps({"StreamName": name, "ShardCount": shards}).encode()
    request = urllib.request.Request(f"https://localhost:{port}/", body, headers)
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    urllib.request.urlopen(request, timeout=10, context=context).close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def gate(program, upstream_port, keys, folder):
    """Starts the gate: each endpoint listens on a free port, and on port 443 of its own address. Returns
    the server and the free port of each endpoint."""
    configuration = folder / "gate.toml"
    configuration.write_text(config(upstream_port, keys))
    server = Server("gate", [program, "run", "--config", configuration], folder)

    def listening():
        found = re.findall(r"listening on (\S+):(\d+) for (\S+)", server.errors.read_text())
        return found if len(found) == 2 * len(ENDPOINTS) else None

    bound = {vpce: int(port) for address, port, vpce in server.wait_for(listening) if port != "443"}
    return server, {name: bound[vpce] for name, vpce in ENDPOINTS.items()}


def config(upstream_port, keys):
    policies = {"read-only": POLICIES / "read-only.json", "one-stream": POLICIES / "one-stream.json"}
    parts = [
        f'upstream = {{ connect = "127.0.0.1:{upstream_port}", server-name = "localhost", ca-file = "ca.pem" }}',
        'admin = { address = "127.0.0.1:0" }',
    ]
    for name, key in [pair for each in keys for pair in each.items()]:
        parts.append(f'[[principal]]\naccess-key-id = "{key}"\narn = "{PRINCIPALS[name]}"')
    through = POLICIES / "only-through-endpoint.json"
    parts.append(f'[[identity-policy]]\nfile = "{through}"\nprincipals = ["{PRINCIPALS["analyst"]}"]')
    for name, vpce in ENDPOINTS.items():
        policy = f'policy = "{policies[name]}"' if name in policies else "default-full-access = true"
        parts.append(f'[[endpoint]]\nid = "{vpce}"\nvpc = "vpc-0123abcd"\nregion = "{REGION}"\n{policy}')
        for address in ("127.0.0.1:0", f"{ADDRESSES[name]}:443"):
            tls = '{ ca-certificate = "ca.pem", ca-key = "ca-key.pem" }'
            parts.append(f'[[listener]]\naddress = "{address}"\nendpoint = "{vpce}"\ntls = {tls}')
    return "\n\n".join(parts) + "\n"


def hosts(folder):
    """A hosts file for each endpoint, which resolves Kinesis's own names to it, and one without those names."""
    host = f"kinesis.{REGION}.amazonaws.com"
    accounts = [f"{account}.{plane}-{host}" for account in (ACCOUNT, "210987654321") for plane in ("data", "control")]
    plain = "127.0.0.1 localhost\n"
    files = {None: folder / "hosts"}
    files[None].write_text(plain)
    for name, address in ADDRESSES.items():
        files[name] = pathlib.Path(f"{folder}/hosts-{name}")
        files[name].write_text(plain + "".join(f"{address} {each}\n" for each in [host, *accounts]))
    return files
