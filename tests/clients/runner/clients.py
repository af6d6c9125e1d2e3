"""The command and the environment of each client, which make it trust the CA."""

import os

from .install import HERE

# The tool of the cache that each client needs, and the class of its error for an operation whose model
# has no `AccessDeniedException`.
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

# The clients that speak Smithy RPC v2 CBOR, for the upstream that does.
RPC_CLIENTS = {"boto3-rpc", "js-rpc"}


def understands(upstream, client):
    return (upstream == "rpc-v2") == (client in RPC_CLIENTS)


# Unsupported calls, by client, call and upstream (`None` for all), and the reason.
UNSUPPORTED = {
    ("cli", "SubscribeToShard", None): "the client has no such command",
    ("java", "SubscribeToShard", None): "the client has no such method",
    ("java-v1", "SubscribeToShard", None): "the client has no such method",
    ("boto3", "SubscribeToShard", "kinesis-local"): "its event stream lacks the initial-response that the client demands",
    ("go", "SubscribeToShard", "kinesis-local"): "its event stream lacks the initial-response that the client demands",
    **{(client, "SubscribeToShard", "ferrokinesis"): "its initial-response is in JSON" for client in RPC_CLIENTS},
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
    # The first compiler alone and a small heap: these processes live for seconds.
    options = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]
    return ["java", *options, *store, "-cp", f"{folder}/target/{jar}.jar:{folder}/target/lib/*", *program]


def environment(client, tools, trust):
    ca = str(trust / "ca.pem")
    ca_settings = {
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
    return {**base_environment(trust), **ca_settings}


def base_environment(home):
    """`PATH` alone of the caller's environment: its settings for CAs, proxies and AWS must not reach the
    clients."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true"}
