// Smithy RPC v2 CBOR before an emulator that does not speak it: what comes by its path goes on as
// AWS CBOR 1.1, whose bodies are the same, and comes back in its form. All else passes unchanged.
//
// upstream.mjs KEY CERTIFICATE CA PORT, the emulator's; it prints the port that it listens on.

import { readFileSync } from "node:fs";
import { createSecureServer } from "node:http2";
import { request } from "node:https";

const [key, cert, ca] = process.argv.slice(2, 5).map((file) => readFileSync(file));
const port = process.argv[5];
const PATH = /^\/service\/(\w+)\/operation\/(\w+)$/;
// Of one connection, and none of the next one's business.
const OWN = /^(:.*|connection|transfer-encoding|keep-alive)$/;

const without = (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.test(name)));

function pass(asked, answer) {
  const [, service, operation] = asked.url.match(PATH) ?? [];
  const rpc = operation && asked.headers["smithy-protocol"] === "rpc-v2-cbor";
  const headers = { ...without(asked.headers), host: asked.headers.host ?? asked.authority };
  if (rpc) {
    Object.assign(headers, { "content-type": "application/x-amz-cbor-1.1", "x-amz-target": `${service}.${operation}` });
  }
  const path = rpc ? "/" : asked.url;
  const site = { host: "localhost", servername: "localhost", port, ca };
  const on = request({ ...site, method: asked.method, path, headers }, (got) => {
    const said = without(got.headers);
    if (rpc) {
      said["smithy-protocol"] = "rpc-v2-cbor";
      if (said["content-type"] === "application/x-amz-cbor-1.1") said["content-type"] = "application/cbor";
    }
    answer.writeHead(got.statusCode, said);
    got.pipe(answer);
  });
  on.on("error", (error) => {
    console.error(error.message);
    answer.stream?.destroy();
    answer.socket?.destroy();
  });
  answer.on("close", () => on.destroy());
  asked.pipe(on);
}

const server = createSecureServer({ key, cert, allowHTTP1: true }, pass);
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
