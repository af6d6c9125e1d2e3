"""Two throw-away CAs: the gate's and the upstream's."""

import subprocess

from .hosts import HOST


def write(folder):
    def run(*command):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    new = ["openssl", "req", "-x509", *key]
    for name in ("ca", "service-ca"):
        files = ["-keyout", f"{name}-key.pem", "-out", f"{name}.pem"]
        run(*new, "-subj", f"/CN={name}", *files, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    signed = ["-CA", "service-ca.pem", "-CAkey", "service-ca-key.pem"]
    names = ["-addext", f"subjectAltName=DNS:{HOST}", "-addext", "basicConstraints=critical,CA:FALSE"]
    run(*new, "-subj", "/CN=service", "-keyout", "service-key.pem", "-out", "service.pem", *signed, *names)
