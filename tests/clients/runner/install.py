"""Installs the clients and the emulators in a cache outside the repository, once for each version.

Every tool has a folder named by a hash of the files that describe it, with a mark when its installation is
complete.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent.parent
FERROKINESIS = "0.7.0"


def cache():
    default = pathlib.Path.home() / ".cache" / "kinesis-gate-clients"
    return pathlib.Path(os.environ.get("KINESIS_GATE_CLIENTS", default))


def everything(wanted):
    """Installs the `wanted` tools, and returns the folder of each."""
    cache().mkdir(parents=True, exist_ok=True)
    with open(cache() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return {name: tool(name) for name in wanted}


def tool(name):
    sources, install = TOOLS[name]
    digest = hashlib.sha256(FERROKINESIS.encode())
    files = [file for source in sources for file in sorted((HERE / source).rglob("*"))]
    for file in [HERE / source for source in sources] + files:
        if file.is_file():
            digest.update(file.name.encode() + file.read_bytes())
    folder = cache() / f"{name}-{digest.hexdigest()[:12]}"
    mark = folder / ".installed"
    if not mark.exists():
        print(f"installing {name}", flush=True)
        for old in cache().glob(f"{name}-*"):
            shutil.rmtree(old)
        folder.mkdir()
        install(folder)
        mark.touch()
    return folder


def python(requirements):
    def install(folder):
        run(["python3", "-m", "venv", folder])
        run([folder / "bin/pip", "install", "--quiet", "--requirement", HERE / requirements])

    return install


def node(source):
    def install(folder):
        shutil.copytree(HERE / source, folder, dirs_exist_ok=True)
        run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"], cwd=folder)

    return install


def java(source):
    def install(folder):
        shutil.copytree(HERE / source, folder, dirs_exist_ok=True)
        run(["mvn", "--quiet", "--batch-mode", "package"], cwd=folder)

    return install


def go(folder):
    run(["go", "build", "-o", folder / "client", "."], cwd=HERE / "go")


def ferrokinesis(folder):
    # A debug build: it takes half the time, and is fast enough.
    features = ["--no-default-features", "--features", "tls"]
    version = ["--version", FERROKINESIS, "--locked", "--debug"]
    target = folder / "target"
    run(["cargo", "install", "--quiet", "ferrokinesis", *version, *features, "--root", folder, "--target-dir", target])
    shutil.rmtree(target)


def gate():
    """Builds the gate in the profile of `cargo test`, and returns its path."""
    import json

    build = ["cargo", "build", "--quiet", "--message-format=json-render-diagnostics"]
    done = subprocess.run(build, cwd=HERE, check=True, stdout=subprocess.PIPE, timeout=1200)
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    return next(m["executable"] for m in messages if m.get("executable"))


def run(command, cwd=None):
    subprocess.run(command, cwd=cwd, check=True, stdin=subprocess.DEVNULL, timeout=1200)


TOOLS = {
    "python": (["boto3/requirements.txt"], python("boto3/requirements.txt")),
    "deploy": (["../deploy/requirements.txt"], python("../deploy/requirements.txt")),
    "moto": (["moto/requirements.txt"], python("moto/requirements.txt")),
    "js": (["js"], node("js")),
    "java": (["java"], java("java")),
    "programs": (["programs"], java("programs")),
    "go": (["go"], go),
    "kinesis-local": (["kinesis-local"], node("kinesis-local")),
    "ferrokinesis": ([], ferrokinesis),
}
