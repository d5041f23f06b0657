// A receiver of jobhook's webhooks for Node 18 and later, nothing to install. Copy it; `wasAskedFor` and `work` are yours to replace.
//
//     WEBHOOK_SECRETS="whsec_… whpk_…" node receiver.mjs HOST:PORT FOLDER
//
// FOLDER/asked.txt names the tasks that were asked for, one a line. FOLDER/inbox/ID is the event with that webhook-id, FOLDER/done/ID says that its
// work is done. README.md beside this file says why it does what it does.
import crypto from "node:crypto";
import fs from "node:fs";
import http from "node:http";
import path from "node:path";

const TOLERANCE_S = 300;
const BODY_BYTES_MAX = 16 << 20;
const SILENCE_MS = 10000;

const [address, folder] = process.argv.slice(2);
if (!folder) {
  console.error("usage: WEBHOOK_SECRETS=… node receiver.mjs HOST:PORT FOLDER");
  process.exit(2);
}

// ---- yours ----

/** The id that the API gave you when you asked for the job. */
function wasAskedFor(taskId) {
  return taskId !== "" && fs.readFileSync(path.join(folder, "asked.txt"), "utf8").split("\n").includes(taskId);
}

/** Runs after the answer, in the order of arrival; once more if the process dies in the middle of it. */
async function work(event) {
  console.log("done", event.task_id, event.status);
}

// ---- the signature (Standard Webhooks 1.0) ----

const PUBLIC_KEY_HEAD = Buffer.from("302a300506032b6570032100", "hex"); // RFC 8410: what stands before 32 bytes of Ed25519

function readSecret(word) {
  const [, prefix, text] = /^(whsec_|whpk_)([A-Za-z0-9+/]+=*)$/.exec(word) ?? [];
  const bytes = Buffer.from(text ?? "", "base64");
  if (bytes.toString("base64") === text && prefix === "whsec_" && bytes.length >= 24 && bytes.length <= 64) return { hmac: bytes };
  if (bytes.toString("base64") === text && prefix === "whpk_" && bytes.length === 32)
    return { ed25519: crypto.createPublicKey({ key: Buffer.concat([PUBLIC_KEY_HEAD, bytes]), format: "der", type: "spki" }) };
  throw new Error("WEBHOOK_SECRETS: wants whsec_ and whpk_ secrets");
}

const secrets = (process.env.WEBHOOK_SECRETS ?? "").split(/\s+/).filter((word) => word !== "").map(readSecret);
if (secrets.length === 0) throw new Error("WEBHOOK_SECRETS is empty");

function matches(secret, version, signature, content) {
  if (version === "v1" && secret.hmac) {
    const expected = crypto.createHmac("sha256", secret.hmac).update(content).digest();
    return signature.length === expected.length && crypto.timingSafeEqual(signature, expected);
  }
  return version === "v1a" && secret.ed25519 !== undefined && signature.length === 64 && crypto.verify(null, content, secret.ed25519, signature);
}

/** `body` is a Buffer, as it came: decoding it to a string and back would change bytes that are not UTF-8. */
function isAuthentic(id, timestamp, signatures, body) {
  if (!/^[0-9]{1,15}$/.test(timestamp) || Math.abs(Math.floor(Date.now() / 1000) - Number(timestamp)) > TOLERANCE_S) return false;
  const content = Buffer.concat([Buffer.from(`${id}.${timestamp}.`, "latin1"), body]);
  let valid = false;
  for (const entry of signatures.split(" ").slice(0, 16)) {
    const [version, text, more] = entry.split(",");
    const signature = Buffer.from(text ?? "", "base64");
    if (more !== undefined || signature.toString("base64") !== text) continue;
    for (const secret of secrets) valid = matches(secret, version, signature, content) || valid;
  }
  return valid;
}

// ---- once per webhook-id, and kept before the answer ----

let freshCount = 0;

/** To be worked on, unless it is there already because it was sent before. When it returns, either is safe on the disk. */
function keep(id, body) {
  const inbox = path.join(folder, "inbox");
  const fresh = path.join(folder, `.${id}.${process.pid}.${freshCount++}`);
  try {
    fs.writeFileSync(fresh, body);
    sync(fresh);
    fs.linkSync(fresh, path.join(inbox, id)); // the whole file or none, and for one of two at the same time only
    jobs.push(id); // at once: if what follows fails, it comes again and is found there
  } catch (problem) {
    if (problem.code !== "EEXIST") throw problem;
  } finally {
    fs.rmSync(fresh, { force: true });
  }
  sync(inbox);
}

function sync(name) {
  const file = fs.openSync(name, "r");
  try {
    fs.fsyncSync(file);
  } finally {
    fs.closeSync(file);
  }
}

const jobs = [];
let working = false;

async function workOff() {
  if (working) return;
  working = true;
  while (jobs.length > 0) {
    const id = jobs.shift();
    await work(JSON.parse(fs.readFileSync(path.join(folder, "inbox", id), "utf8")));
    fs.writeFileSync(path.join(folder, "done", id), "");
  }
  working = false;
}

function begin() {
  for (const name of ["inbox", "done"]) fs.mkdirSync(path.join(folder, name), { recursive: true });
  const done = new Set(fs.readdirSync(path.join(folder, "done")));
  jobs.push(...fs.readdirSync(path.join(folder, "inbox")).sort().filter((id) => !done.has(id)));
  setImmediate(workOff);
}

// ---- HTTP ----

function judge(request, body) {
  const values = ["webhook-id", "webhook-timestamp", "webhook-signature"].map((name) => request.headersDistinct[name] ?? []);
  if (values.some((value) => value.length !== 1) || !/^[A-Za-z0-9_-]{1,64}$/.test(values[0][0])) return 400;
  const [id, timestamp, signatures] = values.map((value) => value[0]);
  if (!isAuthentic(id, timestamp, signatures, body)) return 401;
  let taskId;
  try {
    taskId = JSON.parse(body.toString("utf8")).task_id;
  } catch {
    return 400;
  }
  if (typeof taskId !== "string" || !wasAskedFor(taskId)) return 404;
  keep(id, body);
  return 204;
}

function answer(response, status) {
  response.writeHead(status).end();
}

function take(request, response) {
  const pieces = [];
  let bytes = 0;
  if (request.method !== "POST") return answer(response.setHeader("connection", "close"), 405);
  request.on("data", (piece) => {
    bytes += piece.length;
    if (bytes <= BODY_BYTES_MAX) pieces.push(piece);
    else if (!response.headersSent) answer(response.setHeader("connection", "close"), 413);
  });
  request.on("end", () => {
    if (response.headersSent) return;
    try {
      answer(response, judge(request, Buffer.concat(pieces)));
    } catch (problem) {
      console.error(problem.message);
      answer(response, 503); // jobhook comes again
    }
    setImmediate(workOff);
  });
}

begin();
const [, host, port] = /^(.*):([0-9]+)$/.exec(address);
const server = http.createServer({ requestTimeout: SILENCE_MS, headersTimeout: SILENCE_MS, connectionsCheckingInterval: 1000 }, take);
server.listen(Number(port), host, () => console.log(`listening on ${host}:${server.address().port}`));
