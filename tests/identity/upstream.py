"""A service that verifies every signature with botocore's own signer, and answers what it was asked
with nothing. HTTP/1.1 and HTTP/2. A line of JSON on standard output for each request."""

import hmac
import json
import os
import sys

import botocore.auth
import botocore.awsrequest
import botocore.credentials

SECRET = os.environ["SIGNER_SECRET"]
KEY, TOKEN = os.environ["SIGNER_KEY"], os.environ["SIGNER_TOKEN"]
REGION = "us-east-1"

# What the two encodings call an object without members.
NOTHING = {"application/x-amz-json-1.1": b"{}", "application/x-amz-cbor-1.1": b"\xa0", "application/cbor": b"\xa0"}
# Smithy RPC v2 names the operation here.
RPC_V2 = b"/service/Kinesis_20131202/operation/"


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {}
    doubled = False
    for name, value in scope["headers"]:
        doubled |= name in headers
        headers[name.decode()] = value.decode()
    wrong = "a header is there twice" if doubled else verify(scope, headers, body)
    kind = headers.get("content-type", "").split(";")[0]
    print(json.dumps({
        "version": scope["http_version"],
        "target": headers.get("x-amz-target", scope["path"].replace("/", ".")),
        "type": kind,
        "bytes": len(body),
        "wrong": wrong,
        "headers": sorted(headers),
    }), flush=True)
    answer = NOTHING.get(kind, b"{}")
    if wrong:
        answer = json.dumps({"__type": "InvalidSignatureException", "message": wrong}).encode()
    head = [(b"content-type", kind.encode()), (b"content-length", str(len(answer)).encode())]
    head.append((b"x-amzn-requestid", b"00000000-0000-4000-8000-000000000000"))
    if "smithy-protocol" in headers:
        head.append((b"smithy-protocol", b"rpc-v2-cbor"))
    await send({"type": "http.response.start", "status": 400 if wrong else 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})


def verify(scope, headers, body):
    """What is wrong with a signature: nothing, or a sentence."""
    path = scope["raw_path"]
    if scope["method"] != "POST" or not (path == b"/" or path.startswith(RPC_V2)) or scope["query_string"]:
        return f"{scope['method']} {scope['raw_path']}?{scope['query_string']}"
    algorithm, _, parameters = headers.get("authorization", "").partition(" ")
    given = dict(each.strip().split("=", 1) for each in parameters.split(",") if "=" in each)
    expected = f"{KEY}/{headers.get('x-amz-date', '')[:8]}/{REGION}/kinesis/aws4_request"
    if algorithm != "AWS4-HMAC-SHA256" or given.get("Credential") != expected:
        return f"{algorithm} by {given.get('Credential')} and not {expected}"
    if headers.get("x-amz-security-token") != TOKEN:
        return "another session token"
    request = botocore.awsrequest.AWSRequest("POST", f"https://{headers['host']}{path.decode()}", data=body)
    for name in given["SignedHeaders"].split(";"):
        if name not in headers:
            return f"`{name}` was signed and did not arrive"
        request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    credentials = botocore.credentials.Credentials(KEY, SECRET, TOKEN)
    signer = botocore.auth.SigV4Auth(credentials, "kinesis", REGION)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    if not hmac.compare_digest(signer.signature(to_sign, request), given["Signature"]):
        return "the signature does not match"
    return None


if __name__ == "__main__":
    import asyncio
    import signal

    import hypercorn.asyncio
    import hypercorn.config

    config = hypercorn.config.Config()
    config.bind = [f"127.0.0.1:{sys.argv[1]}"]
    config.certfile, config.keyfile = sys.argv[2:4]
    config.accesslog = None

    async def serve():
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await hypercorn.asyncio.serve(app, config, shutdown_trigger=stop.wait)

    asyncio.run(serve())
