// Runs cases with the AWS SDK for JavaScript v3: a job on standard input, one line of JSON for each
// case on standard output. See ../README.md. `client.mjs http1` takes NodeHttpHandler, HTTP/1.1,
// instead of the default, HTTP/2; `client.mjs rpc` speaks Smithy RPC v2 CBOR instead of JSON.

import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import * as sdk from "@aws-sdk/client-kinesis";
import { AwsSmithyRpcV2CborProtocol } from "@aws-sdk/core/protocols";
import { NodeHttpHandler } from "@smithy/node-http-handler";

const TIMEOUT_MS = 30_000;

const job = JSON.parse(readFileSync(0, "utf8"));
const saved = {};
const clients = new Map();

for (const each of job.cases) {
  const key = `${each.as} ${each.endpoint_url}`;
  if (!clients.has(key)) clients.set(key, client(each));
  await sleep((each.pause ?? 0) * 1000);
  console.log(JSON.stringify({ case: each.case, ...(await attempt(clients.get(key), each)) }));
}
for (const each of clients.values()) each.destroy();

function client({ endpoint_url, as }) {
  // Without a key in the job, the default credential chain finds credentials.
  const key = job.credentials[as];
  return new sdk.KinesisClient({
    region: job.region,
    ...(key && { credentials: { accessKeyId: key.id, secretAccessKey: key.secret } }),
    ...(endpoint_url && { endpoint: endpoint_url }),
    ...(process.argv[2] === "http1" && { requestHandler: new NodeHttpHandler() }),
    ...(process.argv[2] === "rpc" && { protocol: AwsSmithyRpcV2CborProtocol }),
  });
}

async function attempt(kinesis, each) {
  try {
    const result = toJson(await call(kinesis, each));
    for (const [name, path] of Object.entries(each.save ?? {})) {
      saved[name] = path.split(".").reduce((at, member) => at[member], result);
    }
    return { outcome: "ok", result };
  } catch (error) {
    return {
      outcome: error.name === "AccessDeniedException" ? "denied" : "error",
      code: error.name,
      type: error.constructor.name,
      message: error.message,
      attempts: error.$metadata?.attempts,
    };
  }
}

async function call(kinesis, { call, arguments: members }) {
  const command = new sdk[`${call}Command`](toSdk(members));
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), TIMEOUT_MS);
  try {
    const { $metadata, ...result } = await kinesis.send(command, { abortSignal: abort.signal });
    return call === "SubscribeToShard" ? await firstRecords(result.EventStream) : result;
  } finally {
    // Ends a subscription too, whose stream the SDK leaves open.
    abort.abort();
    clearTimeout(timer);
  }
}

async function firstRecords(stream) {
  for await (const { SubscribeToShardEvent: event } of stream) {
    if (event?.Records?.length) return event;
  }
  throw new Error("the stream ended without a record");
}

/** A value for the SDK: blobs as bytes, `$name` replaced by the value that an earlier case saved. */
function toSdk(value, member) {
  if (Array.isArray(value)) return value.map((inner) => toSdk(inner));
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, toSdk(inner, name)]));
  }
  if (member === "Data") return Buffer.from(value, "base64");
  return typeof value === "string" && value.startsWith("$") ? saved[value.slice(1)] : value;
}

/** A value for JSON. */
function toJson(value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (Array.isArray(value)) return value.map(toJson);
  if (value && typeof value === "object" && !(value instanceof Date)) {
    return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, toJson(inner)]));
  }
  return value;
}
