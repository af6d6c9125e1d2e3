"""How each client is started, and how it is told to trust the CA."""

import os

from .install import HERE

# Which tool of the cache each client needs, and the class of an `AccessDeniedException` that the
# model does not give to an operation.
CLIENTS = {
    "cli": ("python", None),
    "boto3": ("python", None),
    "js": ("js", "KinesisServiceException"),
    "js-http1": ("js", "KinesisServiceException"),
    "java": ("java", "KinesisException"),
    "java-async": ("java", "KinesisException"),
    "java-v1": ("java", "AmazonKinesisException"),
    "go": ("go", "*smithy.GenericAPIError"),
    "boto3-rpc": ("python", None),
    "js-rpc": ("js", "KinesisServiceException"),
}

# Those that speak Smithy RPC v2 CBOR, for the one upstream that does.
RPC = {"boto3-rpc", "js-rpc"}


def understands(upstream, client):
    return (upstream == "rpc-v2") == (client in RPC)


# What cannot be, by client, call, and upstream (`None`: whichever), and why.
CANNOT = {
    ("cli", "SubscribeToShard", None): "the client has no such command",
    ("java", "SubscribeToShard", None): "the client has no such method",
    ("java-v1", "SubscribeToShard", None): "the client has no such method",
    ("boto3", "SubscribeToShard", "kinesis-local"): "its event stream lacks the initial-response that the client demands",
    ("go", "SubscribeToShard", "kinesis-local"): "its event stream lacks the initial-response that the client demands",
    **{(client, "SubscribeToShard", "ferrokinesis"): "its initial-response is in JSON" for client in RPC},
}


def command(client, tools, trust):
    folder = tools[CLIENTS[client][0]]
    return [str(part) for part in {
        "cli": lambda: [folder / "bin/python", HERE / "cli/client.py"],
        "boto3": lambda: [folder / "bin/python", HERE / "boto3/client.py"],
        "boto3-rpc": lambda: [folder / "bin/python", HERE / "boto3/client.py", "rpc"],
        "js": lambda: ["node", folder / "client.mjs"],
        "js-http1": lambda: ["node", folder / "client.mjs", "http1"],
        "js-rpc": lambda: ["node", folder / "client.mjs", "rpc"],
        "java": lambda: java(folder, trust, "client", "Client", "sync"),
        "java-async": lambda: java(folder, trust, "client", "Client", "async"),
        "java-v1": lambda: java(folder, trust, "client", "ClientV1"),
        "go": lambda: [folder / "client"],
    }[client]()]


def java(folder, trust, jar, *program):
    store = [f"-Djavax.net.ssl.trustStore={trust / 'trust.p12'}", "-Djavax.net.ssl.trustStorePassword=changeit"]
    # One compiler and a small heap: these processes live for seconds.
    fast = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
    return ["java", *fast, *store, "-cp", f"{folder}/target/{jar}.jar:{folder}/target/lib/*", *program]


def environment(client, tools, trust):
    ca = str(trust / "ca.pem")
    own = {
        "cli": {"AWS_CA_BUNDLE": ca, "AWS_CLI": str(tools.get("python", "")) + "/bin/aws"},
        "boto3": {"AWS_CA_BUNDLE": ca},
        "boto3-rpc": {"AWS_CA_BUNDLE": ca},
        "js": {"NODE_EXTRA_CA_CERTS": ca},
        "js-http1": {"NODE_EXTRA_CA_CERTS": ca},
        "js-rpc": {"NODE_EXTRA_CA_CERTS": ca},
        "java": {},
        "java-async": {},
        "java-v1": {},
        "go": {"SSL_CERT_FILE": ca},
    }[client]
    return {**bare(trust), **own}


def bare(home):
    """Nothing of the caller's environment but where programs are: whatever it presets about CAs,
    proxies and AWS must not decide what is tested."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"}
