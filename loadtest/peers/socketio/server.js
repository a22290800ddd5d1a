// A chat server's hot path on socket.io, for `make compare`: publish over HTTP with a JWT, delivery over WebSocket.
//
// What it does as pychat does: judges the sender's token, decodes and bounds the body, hands the message to every
// connection of the recipient. What it does not: a limit on the sender's rate, membership, a queue that outlives the
// connection, acknowledgement, storage.
import { createSecretKey } from "node:crypto";
import { createServer } from "node:http";
import jwt from "jsonwebtoken";
import { Server } from "socket.io";

const MAX_BODY = 16_000;
const [host, port] = (process.argv[2] ?? "127.0.0.1:8000").split(":");
const secret = Buffer.from(process.env.PEER_SIGNING_KEY ?? "");
if (secret.length < 32) throw new Error("PEER_SIGNING_KEY must have at least 32 bytes");
// A string would be turned into a key again for each token, at 300 us.
const key = createSecretKey(secret);
const userOf = (token) => jwt.verify(token, key, { algorithms: ["HS256"] }).id;

function answer(response, status, body) {
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
  response.end(body);
}

function publish(user, body, response) {
  let message;
  try {
    message = JSON.parse(body).message;
  } catch {
    return answer(response, 400, '"malformed"');
  }
  if (typeof message?.chat_id !== "string" || typeof message.payload !== "string" || !message.payload) {
    return answer(response, 400, '"malformed"');
  }
  io.to(message.chat_id).emit("message", { sender: user, text: message.payload });
  answer(response, 202, "null");
}

const http = createServer((request, response) => {
  if (request.url.startsWith("/socket.io/")) return; // socket.io's own listener answers
  if (request.method !== "POST" || request.url !== "/publish") return answer(response, 404, '"nowhere"');
  let user;
  try {
    user = userOf((request.headers.authorization ?? "").replace(/^Bearer /, ""));
  } catch {
    return answer(response, 401, '"unauthorized"');
  }
  const chunks = [];
  let size = 0;
  request.on("data", (chunk) => {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
  });
  request.on("end", () => {
    if (size > MAX_BODY) return answer(response, 413, '"too large"');
    publish(user, Buffer.concat(chunks), response);
  });
});

const io = new Server(http, { transports: ["websocket"], perMessageDeflate: false });
io.use((socket, next) => {
  try {
    // Who connects is in a room of the user's own, the place of pychat's mailbox.
    socket.join(`user:${userOf(socket.handshake.auth.token)}`);
    next();
  } catch (error) {
    next(error);
  }
});
http.listen({ host, port: Number(port), backlog: 4096 });
