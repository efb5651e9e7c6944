// The one service that all peers speak, and what the first message of a call asks for.
"use strict";

const grpc = require("@grpc/grpc-js");

const SERVICE = "fleetscope.peers.v1.Peer";

// A kind of the command line: its method, and which sides stream.
const KINDS = {
  unary: { name: "Unary", requestStream: false, responseStream: false },
  client: { name: "ClientStream", requestStream: true, responseStream: false },
  server: { name: "ServerStream", requestStream: false, responseStream: true },
  bidi: { name: "Bidi", requestStream: true, responseStream: true },
};

const FIELDS = ["status", "trailers_only", "delay_ms", "end_delay_ms", "messages", "bytes", "metadata_bytes"];

const OPTIONS = {
  "grpc.max_receive_message_length": 64 << 20,
  // A client's channels: each call is one stream, each channel one connection, straight to the server.
  "grpc.enable_retries": 0,
  "grpc.use_local_subchannel_pool": 1,
  "grpc.enable_http_proxy": 0,
};

// Messages are bytes and nothing else.
const raw = (bytes) => bytes;

const body = (size) => Buffer.alloc(Math.max(size, 0), "x");

function parse(message) {
  const values = Object.fromEntries(message.toString("latin1").split("\n", 1)[0].split(" ").map((pair) => pair.split("=")));
  const directive = Object.fromEntries(FIELDS.map((field) => [field, Number.parseInt(values[field], 10)]));
  if (Object.values(directive).some(Number.isNaN)) {
    throw Object.assign(new Error("the first message is not a directive"), { code: grpc.status.INVALID_ARGUMENT });
  }
  // The call ends with one header block, before anything was sent; a Bidi before the rest of the requests was read.
  directive.failsAtOnce = directive.status !== 0 && directive.trailers_only !== 0;
  return directive;
}

// The directive as a line, padded to the size of the call's messages.
function message(directive) {
  const text = FIELDS.map((field) => `${field}=${directive[field]}`).join(" ") + "\n";
  return Buffer.concat([Buffer.from(text), body(directive.bytes - text.length)]);
}

// Metadata of that size that differs from call to call, and that Huffman coding does not make shorter.
function fill(call, size) {
  const metadata = new grpc.Metadata();
  if (size > 0) {
    metadata.set("x-fill", `${call}-${"Z".repeat(size)}`.slice(0, size));
  }
  return metadata;
}

module.exports = { KINDS, OPTIONS, SERVICE, body, fill, message, parse, raw };
