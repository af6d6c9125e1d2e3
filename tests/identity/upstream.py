"""An upstream that verifies every signature with botocore's signer, and responds with an empty object.
HTTP/1.1 and HTTP/2. Prints a line of JSON for each request."""

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

# An object without members, by content type.
EMPTY_OBJECTS = {"application/x-amz-json-1.1": b"{}", "application/x-amz-cbor-1.1": b"\xa0", "application/cbor": b"\xa0"}
# The path prefix of Smithy RPC v2.
RPC_V2_PREFIX = b"/service/Kinesis_20131202/operation/"


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
    has_duplicate = False
    for name, value in scope["headers"]:
        has_duplicate |= name in headers
        headers[name.decode()] = value.decode()
    wrong = "a header is duplicate" if has_duplicate else verify(scope, headers, body)
    content_type = headers.get("content-type", "").split(";")[0]
    print(json.dumps({
        "version": scope["http_version"],
        "target": headers.get("x-amz-target", scope["path"].replace("/", ".")),
        "type": content_type,
        "bytes": len(body),
        "wrong": wrong,
        "headers": sorted(headers),
    }), flush=True)
    response = EMPTY_OBJECTS.get(content_type, b"{}")
    if wrong:
        response = json.dumps({"__type": "InvalidSignatureException", "message": wrong}).encode()
    head = [(b"content-type", content_type.encode()), (b"content-length", str(len(response)).encode())]
    head.append((b"x-amzn-requestid", b"00000000-0000-4000-8000-000000000000"))
    if "smithy-protocol" in headers:
        head.append((b"smithy-protocol", b"rpc-v2-cbor"))
    await send({"type": "http.response.start", "status": 400 if wrong else 200, "headers": head})
    await send({"type": "http.response.body", "body": response})


def verify(scope, headers, body):
    """The problem of a signature, or None."""
    path = scope["raw_path"]
    if scope["method"] != "POST" or not (path == b"/" or path.startswith(RPC_V2_PREFIX)) or scope["query_string"]:
        return f"{scope['method']} {scope['raw_path']}?{scope['query_string']}"
    algorithm, _, parameters = headers.get("authorization", "").partition(" ")
    parts = dict(each.strip().split("=", 1) for each in parameters.split(",") if "=" in each)
    expected = f"{KEY}/{headers.get('x-amz-date', '')[:8]}/{REGION}/kinesis/aws4_request"
    if algorithm != "AWS4-HMAC-SHA256" or parts.get("Credential") != expected:
        return f"{algorithm} by {parts.get('Credential')} and not {expected}"
    if headers.get("x-amz-security-token") != TOKEN:
        return "another session token"
    request = botocore.awsrequest.AWSRequest("POST", f"https://{headers['host']}{path.decode()}", data=body)
    for name in parts["SignedHeaders"].split(";"):
        if name not in headers:
            return f"`{name}` was signed and did not arrive"
        request.headers[name] = headers[name]
    request.context["timestamp"] = headers["x-amz-date"]
    credentials = botocore.credentials.Credentials(KEY, SECRET, TOKEN)
    signer = botocore.auth.SigV4Auth(credentials, "kinesis", REGION)
    to_sign = signer.string_to_sign(request, signer.canonical_request(request))
    if not hmac.compare_digest(signer.signature(to_sign, request), parts["Signature"]):
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
