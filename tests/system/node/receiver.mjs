// receiver.mjs HOST:PORT PACKAGES: verifies each POST with two libraries that others wrote, npm's standardwebhooks and svix, which lie in the folder
// PACKAGES. The environment's SECRETS is a JSON object: path → secret. Prints "listening HOST:PORT", then one JSON object a line for each POST:
// `id`, `attempt`, `timestamp`, `signature`, `mono` (ms), `valid` (library → whether it accepts the POST as it came), and `tampered` (library → how
// often it was asked about a POST with one byte changed, and how often it accepted one). Answers 200, or on a path with a number that status.
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";

const [address, packages] = process.argv.slice(2);
const load = createRequire(path.resolve(packages, "node_modules", "."));
const libraries = { standardwebhooks: load("standardwebhooks").Webhook, svix: load("svix").Webhook };
const secrets = JSON.parse(process.env.SECRETS);

const HEADERS = ["webhook-id", "webhook-timestamp", "webhook-signature"];

function accepts(library, secret, headers, body) {
  try {
    new libraries[library](secret).verify(body, headers);
    return true;
  } catch {
    return false;
  }
}

/** The same text with the lowest bit of one character flipped. */
function flip(text, index) {
  return text.slice(0, index) + String.fromCharCode(text.charCodeAt(index) ^ 1) + text.slice(index + 1);
}

function* tamperings(headers, body) {
  for (const name of HEADERS) for (let i = 0; i < headers[name].length; i++) yield [{ ...headers, [name]: flip(headers[name], i) }, body];
  for (let i = 0; i < body.length; i++) {
    const changed = Buffer.from(body);
    changed[i] ^= 1;
    yield [headers, changed];
  }
  yield [headers, body.subarray(0, -1)];
  yield [headers, Buffer.concat([body, Buffer.from(" ")])];
}

function judge(request, body) {
  const headers = Object.fromEntries(HEADERS.map((name) => [name, request.headers[name] ?? ""]));
  const secret = secrets[new URL(request.url, "http://x").pathname];
  const line = { id: headers["webhook-id"], attempt: request.headers["jobhook-attempt"], timestamp: headers["webhook-timestamp"],
    signature: headers["webhook-signature"], body: body.toString("base64"), mono: performance.now(), valid: {}, tampered: {} };
  for (const library of Object.keys(libraries)) {
    line.valid[library] = accepts(library, secret, headers, body);
    const tried = { asked: 0, accepted: 0 };
    for (const [otherHeaders, otherBody] of tamperings(headers, body)) {
      tried.asked++;
      tried.accepted += accepts(library, secret, otherHeaders, otherBody) ? 1 : 0;
    }
    line.tampered[library] = tried;
  }
  console.log(JSON.stringify(line));
}

const counts = {};
const server = http.createServer((request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    judge(request, Buffer.concat(pieces));
    const [, status, times] = /^\/([0-9]{3})x([0-9]+)/.exec(request.url) ?? [];
    const id = request.headers["webhook-id"];
    counts[id] = (counts[id] ?? 0) + 1;
    response.writeHead(status && counts[id] <= Number(times) ? Number(status) : 200).end();
  });
});
const [, host, port] = /^(.*):([0-9]+)$/.exec(address);
server.listen(Number(port), host, () => console.log(`listening ${host}:${server.address().port}`));
