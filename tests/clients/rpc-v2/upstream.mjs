// A translator of Smithy RPC v2 CBOR in front of an emulator: it forwards such requests as AWS CBOR 1.1,
// whose bodies are the same, translates their responses, and forwards all others unchanged.
//
// upstream.mjs KEY CERTIFICATE CA PORT (the emulator's); it prints the port on which it listens.

import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { request } from "node:https";

const [key, cert, ca] = process.argv.slice(2, 5).map((file) => readFileSync(file));
const port = process.argv[5];
const PATH = /^\/service\/(\w+)\/operation\/(\w+)$/;
// Hop-by-hop headers and pseudo-headers.
const HOP_BY_HOP = /^(:.*|connection|transfer-encoding|keep-alive)$/;

const endToEnd = (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.test(name)));

function forward(downstream, response) {
  const [, service, operation] = downstream.url.match(PATH) ?? [];
  const isRpc = operation && downstream.headers["smithy-protocol"] === "rpc-v2-cbor";
  const headers = { ...endToEnd(downstream.headers), host: downstream.headers.host ?? downstream.authority };
  if (isRpc) {
    Object.assign(headers, { "content-type": "application/x-amz-cbor-1.1", "x-amz-target": `${service}.${operation}` });
  }
  const path = isRpc ? "/" : downstream.url;
  const emulator = { host: "localhost", servername: "localhost", port, ca };
  const upstream = request({ ...emulator, method: downstream.method, path, headers }, (upstreamResponse) => {
    const responseHeaders = endToEnd(upstreamResponse.headers);
    if (isRpc) {
      responseHeaders["smithy-protocol"] = "rpc-v2-cbor";
      if (responseHeaders["content-type"] === "application/x-amz-cbor-1.1") responseHeaders["content-type"] = "application/cbor";
    }
    response.writeHead(upstreamResponse.statusCode, responseHeaders);
    upstreamResponse.pipe(response);
  });
  upstream.on("error", (error) => {
    console.error(error.message);
    response.stream?.destroy();
    response.socket?.destroy();
  });
  response.on("close", () => upstream.destroy());
  downstream.pipe(upstream);
}

const server = createSecureServer({ key, cert, allowHTTP1: true }, forward);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
