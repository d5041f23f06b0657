// hostile.mjs CERTIFICATE: HTTP/2 receivers that misbehave, on free ports of 127.0.0.1. Prints "listening PORT PORT PORT": one that does what the path
// says, one that lets nobody send a body, and one that speaks something else. Then one line for each request: its path.
import fs from "node:fs";
import http2 from "node:http2";
import tls from "node:tls";

const pem = fs.readFileSync(process.argv[2]);
const secure = { key: pem, cert: pem };
const { NGHTTP2_REFUSED_STREAM, NGHTTP2_NO_ERROR, NGHTTP2_INTERNAL_ERROR } = http2.constants;

const answers = {
  ok: (stream) => stream.respond({ ":status": 200 }, { endStream: true }),
  // GOAWAY in front of the answer, as a server that restarts: the request was taken.
  goaway: (stream) => { stream.session.goaway(NGHTTP2_NO_ERROR, stream.id); answers.ok(stream); },
  // GOAWAY that disowns the request: libcurl would send it again by itself.
  disown: (stream) => { stream.session.goaway(NGHTTP2_NO_ERROR, 0); setTimeout(() => stream.session?.destroy(), 50); },
  refuse: (stream) => stream.close(NGHTTP2_REFUSED_STREAM),
  reset: (stream) => stream.close(NGHTTP2_INTERNAL_ERROR),
  vanish: (stream) => stream.session.destroy(),
  silent: () => {},
  // Success, whatever comes behind it.
  flood: (stream) => {
    const more = () => { while (!stream.destroyed && stream.write("b".repeat(65536))); };
    stream.respond({ ":status": 200 });
    stream.on("drain", more);
    more();
  },
  provisional: (stream) => {
    const timer = setInterval(() => {
      if (stream.destroyed) clearInterval(timer);
      else for (let i = 0; i < 100; i++) stream.additionalHeaders({ ":status": 103, link: "x".repeat(100) });
    }, 1);
  },
  // Frames between two requests: a connection that is worth keeping all the same.
  chatty: (stream) => {
    const session = stream.session;
    answers.ok(stream);
    setTimeout(() => { if (!session.destroyed) { session.ping(() => {}); session.settings({ enablePush: false }); } }, 20);
  },
};

function answer(stream, headers) {
  const path = headers[":path"].slice(1).split("/")[0];
  console.log(path);
  stream.on("error", () => {});
  stream.resume();
  answers[path](stream);
}

function serve(settings) {
  const server = http2.createSecureServer({ ...secure, settings, allowHTTP1: false });
  server.on("session", (session) => session.on("error", () => {}));
  server.on("stream", answer);
  server.on("connection", () => console.log("connection"));
  return server;
}

const servers = [serve({}), serve({ initialWindowSize: 0 }),
  tls.createServer({ ...secure, ALPNProtocols: ["h2"] }, (socket) => { socket.on("error", () => {}); console.log("other"); socket.write("HTTP/1.1 200 OK\r\n\r\n"); })];
for (const server of servers) server.on("tlsClientError", () => {});
await Promise.all(servers.map((server) => new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))));
console.log("listening", ...servers.map((server) => server.address().port));
