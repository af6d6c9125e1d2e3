"""Runs the pod of a sidecar's manifest: the pod is a network namespace, and Kinesis is on another host. The
containers have only what the manifest gives them. The gate's root file system has what its image has: the
program, the C library and the root certificates.

    sidecar.py GATE CLIENTS_VENV DEPLOY_VENV MANIFEST
"""
import http.server
import json
import os
import pathlib
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "network"))
from runner import hosts, zone  # noqa: E402
from runner.hosts import CLIENT as POD, HOST, KINESIS  # noqa: E402

# The address of Kinesis in the manifest with a redirect, and the address of every VPC's resolver.
SERVICE, RESOLVER = "10.0.3.10", "169.254.169.253"
INSIDE = "KINESIS_GATE_DEPLOY_INSIDE"
RESPONSE_DELAY = 1.5  # seconds, while the pod ends
APPLICATION = """import boto3, botocore, json, signal, time
client = boto3.client("kinesis", region_name="us-east-1", config=botocore.config.Config(retries={"total_max_attempts": 1}))
def put(stream):
    named = {"StreamARN": stream} if stream.startswith("arn:") else {"StreamName": stream}
    try:
        return client.put_record(**named, Data=b"a", PartitionKey="1")["ShardId"]
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
print(json.dumps([put("orders"), put("payroll"), put("arn:aws:kinesis:us-east-1:123456789012:stream/orders")]), flush=True)
while not ended:
    time.sleep(0.05)
print(json.dumps([put("orders")]), flush=True)
"""


def main():
    if INSIDE not in os.environ:
        os.environ[INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", sys.executable, *sys.argv])
    gate, clients, deploy, manifest = map(pathlib.Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        folder.chmod(0o755)
        try:
            run_pod(folder, gate, clients, deploy, manifest)
        finally:
            subprocess.run(["umount", "-R", "-l", folder / "gate"], capture_output=True, timeout=20)


def run_pod(folder, gate, clients, deploy, manifest):
    network()
    load = "import json, sys, yaml; json.dump(list(yaml.safe_load_all(sys.stdin)), sys.stdout)"
    read = subprocess.run([deploy / "bin/python", "-c", load], stdin=open(manifest), capture_output=True, check=True, timeout=60)
    documents = json.loads(read.stdout)
    data = next(d["data"] for d in documents if d["kind"] == "ConfigMap")
    pod = next(d["spec"]["template"]["spec"] for d in documents if d["kind"] == "Deployment")
    # The sidecar is the last init container.
    (*before, sidecar), (application,) = pod["initContainers"], pod["containers"]
    certificates(folder)
    service = KINESIS.within(lambda: Service(folder))
    volumes = {v["name"]: volume(folder, v, data, pod["securityContext"]["fsGroup"]) for v in pod["volumes"]}
    files = resolver_files(folder, pod)
    root = image_root(folder, gate, sidecar, volumes, files)

    # 1. The init containers run, and then the sidecar starts; the pod continues when its startup probe passes.
    for sysctl in pod["securityContext"].get("sysctls", []):
        POD.run("tee", pathlib.Path("/proc/sys", *sysctl["name"].split(".")), input=sysctl["value"], text=True, stdout=subprocess.DEVNULL)
    for container in before:
        run_init_container(container, volumes)
    log, errors = open(folder / "out", "w+b"), open(folder / "err", "w+b")
    serving = subprocess.Popen(container_command(root, sidecar, pod, ["/usr/local/bin/kinesis-gate", *sidecar["args"]]), stdout=log, stderr=errors)
    probe = sidecar["startupProbe"]
    for _ in range(probe["failureThreshold"]):
        if run(*container_command(root, sidecar, pod, probe["exec"]["command"]), fail=False) == 0:
            break
        time.sleep(probe["periodSeconds"] / 4)
    else:
        sys.exit(f"the gate does not start: {(folder / 'err').read_text()}")
    for kind in ("readinessProbe", "livenessProbe"):
        check(kind, run(*container_command(root, sidecar, pod, sidecar[kind]["exec"]["command"]), fail=False), 0)
    status = pathlib.Path(f"/proc/{serving.pid}/status").read_text()
    check("the gate's user, and its capabilities", re.findall(r"^(?:Uid:\s+(\d+)|CapEff:\s+(\w+))", status, re.MULTILINE),
          [(str(sidecar["securityContext"]["runAsUser"]), ""), ("", "0" * 16)])  # fmt: skip

    # 2. The application has the manifest's environment and its own credentials, and nothing more.
    map_paths = mount_volumes(application, volumes)
    environment = {e["name"]: map_paths(e["value"]) for e in application["env"]}
    (trust,) = application["volumeMounts"]
    seen = pathlib.Path(map_paths(trust["mountPath"])).iterdir()
    check("what the application sees of the CA", sorted(p.name for p in seen if not p.name.startswith("..")), ["ca.pem"])
    for name, file in files.items():
        run("mount", "--bind", file, name)
    environment |= {"AWS_ACCESS_KEY_ID": "AKIARZPUZDIKGB2VALC4", "AWS_SECRET_ACCESS_KEY": "secret"}
    user = application["securityContext"]["runAsUser"]
    # Python stays where it is installed: this container is only a user and an environment.
    client = subprocess.Popen(POD.command(*as_user(clients, user), clients / "bin/python", "-c", APPLICATION),
                              env=environment, stdout=subprocess.PIPE, text=True)  # fmt: skip
    check("the policy's stream, another, and the first by its ARN", json.loads(client.stdout.readline() or "null"),
          ["shardId-000000000000", "AccessDeniedException", "shardId-000000000000"])  # fmt: skip
    check("the streams that Kinesis received", service.streams, ["orders", "arn:aws:kinesis:us-east-1:123456789012:stream/orders"])

    # 3. The pod ends: the application first, whose last record must pass although Kinesis is slow, then the sidecar.
    service.delay = RESPONSE_DELAY
    client.terminate()
    check("a record at the application's end", json.loads(client.stdout.readline() or "null"), ["shardId-000000000000"])
    check("the application's exit code", client.wait(20), 0)
    serving.terminate()
    check("the gate's exit code", serving.wait(pod["terminationGracePeriodSeconds"]), 0)
    lines = [json.loads(line) for line in (folder / "out").read_text().splitlines()]
    check("the decision log", [line["decision"] for line in lines], ["allow", "implicit-deny", "allow", "allow"])


def network():
    """Makes the pod, and the host of Kinesis and of the VPC's resolver."""
    hosts.build()
    for address in (SERVICE, RESOLVER):
        KINESIS.ip(f"addr add {address}/32 dev lo")
        POD.ip(f"route add {address}/32 via {KINESIS.address}")
    zone.Zone(53, [SERVICE], RESOLVER)


def resolver_files(folder, pod):
    """`/etc/hosts` and `/etc/resolv.conf` of all containers of the pod."""
    aliases = "".join(f"{a['ip']} {' '.join(a['hostnames'])}\n" for a in pod.get("hostAliases", []))
    files = {"/etc/hosts": f"127.0.0.1 localhost\n{aliases}", "/etc/resolv.conf": f"nameserver {RESOLVER}\n"}
    for name, text in files.items():
        (folder / pathlib.Path(name).name).write_text(text)
    return {name: folder / pathlib.Path(name).name for name in files}


def mount_volumes(container, volumes):
    """Mounts a container's volumes under `/mnt`, and returns a function that maps the container's paths to it."""
    run("mount", "-t", "tmpfs", "none", "/mnt")
    places = {}
    for number, mount in enumerate(container["volumeMounts"]):
        at = places[mount["mountPath"]] = pathlib.Path(f"/mnt/{number}")
        at.mkdir()
        run("mount", "--bind", volumes[mount["name"]], at)

    def map_paths(text):
        for path, mount_point in places.items():
            text = text.replace(path, str(mount_point))
        return text

    return map_paths


def run_init_container(container, volumes):
    """Runs an init container to its end, with its capabilities only."""
    security, map_paths = container["securityContext"], mount_volumes(container, volumes)
    assert security["capabilities"]["drop"] == ["ALL"]
    added = ",".join(["-all", *(f"+{name.lower()}" for name in security["capabilities"]["add"])])
    run(*POD.command("env", "-i", "PATH=/usr/sbin:/usr/bin", "setpriv", "--no-new-privs", f"--bounding-set={added}", f"--inh-caps={added}",
                     *map(map_paths, container["command"])))  # fmt: skip
    run("umount", "-R", "/mnt")


def as_user(clients, user):
    """The prefix of a command that runs as `user`; empty where that user cannot read Python."""
    prefix = ["setpriv", f"--reuid={user}", "--clear-groups"]
    return prefix if run(*prefix, clients / "bin/python", "-c", "import boto3", fail=False) == 0 else []


def volume(folder, volume, data, group):
    """A volume laid out as the kubelet does: files are links into a folder, which is a link too."""
    at = folder / volume["name"]
    real = at / "..2026_11_25"
    real.mkdir(parents=True)
    secret = volume.get("secret")
    if secret:
        keys = [item["key"] for item in secret.get("items", [])] or ["ca.pem", "ca-key.pem"]
        files = {key: (folder / key).read_text() for key in keys}
    else:
        files = data
    (at / "..data").symlink_to(real.name)
    for name, text in files.items():
        (real / name).write_text(text)
        os.chown(real / name, 0, group)
        # YAML has parsed the octal number.
        (real / name).chmod((secret or {}).get("defaultMode", 0o644))
        (at / name).symlink_to(f"..data/{name}")
    return at


def image_root(folder, gate, container, volumes, files):
    root = folder / "gate"
    (root / "usr/local/bin").mkdir(parents=True)
    (root / "usr/local/bin/kinesis-gate").write_bytes(gate.read_bytes())
    (root / "usr/local/bin/kinesis-gate").chmod(0o755)
    linked = subprocess.run(["ldd", gate], capture_output=True, text=True, check=True, timeout=20).stdout
    for library in re.findall(r"(/\S+) \(0x", linked):
        to = root / library.lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(pathlib.Path(library).read_bytes())
        to.chmod(0o755)
    (root / "etc/ssl/certs").mkdir(parents=True)
    (root / "etc/ssl/certs/ca-certificates.crt").write_bytes((folder / "service-ca.pem").read_bytes())
    for name, file in files.items():
        (root / name.lstrip("/")).write_text(file.read_text())
    for mount in container["volumeMounts"]:
        (root / mount["mountPath"].lstrip("/")).mkdir(parents=True)
    run("mount", "--bind", root, root)
    for mount in container["volumeMounts"]:
        at = root / mount["mountPath"].lstrip("/")
        run("mount", "--bind", volumes[mount["name"]], at)
        assert mount["readOnly"]
        run("mount", "-o", "remount,bind,ro", at)
    assert container["securityContext"]["readOnlyRootFilesystem"]
    run("mount", "-o", "remount,bind,ro", root)
    return root


def container_command(root, container, pod, command):
    security = container["securityContext"]
    assert security["capabilities"]["drop"] == ["ALL"]
    user, group = security["runAsUser"], security["runAsGroup"]
    groups = pod["securityContext"]["fsGroup"]
    # `chroot` keeps the program's path as in the image; the process then has the user and no capabilities.
    return POD.command("env", "-i", "/usr/bin/setpriv", "--no-new-privs", "--bounding-set=-all,+setuid,+setgid,+sys_chroot",
                       "/usr/sbin/chroot", f"--userspec={user}:{group}", f"--groups={groups}", str(root), *command)  # fmt: skip


class Service:
    """A stand-in for Kinesis, which records the stream of each request."""

    def __init__(self, folder):
        self.streams, self.delay = [], 0
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.streams.append(body.get("StreamName") or body["StreamARN"])
                time.sleep(service.delay)
                response = b'{"SequenceNumber":"1","ShardId":"shardId-000000000000"}'
                self.send_response(200)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(response)))
                self.end_headers()
                self.wfile.write(response)

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "service.pem", folder / "service-key.pem")
        server = http.server.ThreadingHTTPServer((SERVICE, 443), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()


def certificates(folder):
    def openssl(*command):
        subprocess.run(["openssl", "req", "-x509", *command], cwd=folder, check=True, capture_output=True, timeout=60)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for name in ("ca", "service-ca"):
        openssl(*key, "-subj", f"/CN={name}", "-keyout", f"{name}-key.pem", "-out", f"{name}.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl(*key, "-subj", "/CN=service", "-keyout", "service-key.pem", "-out", "service.pem", "-CA", "service-ca.pem", "-CAkey", "service-ca-key.pem",
            "-addext", f"subjectAltName=DNS:{HOST},DNS:*.data-{HOST}", "-addext", "basicConstraints=critical,CA:FALSE")  # fmt: skip


def run(*command, fail=True):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    if fail and done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr}")
    return done.returncode


def check(title, found, expected):
    good = found == expected
    print(f"  {'ok    ' if good else 'FAILED'} {pathlib.Path(sys.argv[-1]).stem}: {title}: {found}" + ("" if good else f", not {expected}"), flush=True)
    if not good:
        sys.exit(1)


main()
