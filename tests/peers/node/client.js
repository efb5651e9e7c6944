// The client: see peer.js.
"use strict";

const { performance } = require("node:perf_hooks");
const grpc = require("@grpc/grpc-js");
const { Account } = require("./account");
const { KINDS, OPTIONS, SERVICE, body, fill, message, raw } = require("./service");

const CONNECT_LIMIT_MS = 30000;
const CODES = 17;

const account = new Account("client");

// Of the i-th call. A mix goes through all codes, in turns with and without headers before the trailers.
function directive(options, i) {
  const mix = options.status === "mix";
  return {
    status: mix ? i % CODES : Number(/^\d/.test(options.status) ? options.status : grpc.status[options.status]),
    trailers_only: Number(options["trailers-only"] || (mix && Math.floor(i / CODES) % 2 === 1)),
    delay_ms: options["delay-ms"],
    end_delay_ms: options["end-delay-ms"],
    messages: options.messages,
    bytes: options.bytes,
    metadata_bytes: options["metadata-bytes"],
  };
}

// One call; resolves when it has ended, however.
function call(connection, options, kind, i) {
  const { name, requestStream, responseStream } = KINDS[kind];
  const variant = (i % options.methods) + 1;
  const path = `${SERVICE}/${name}${kind === "unary" && variant > 1 ? variant : ""}`;
  const metadata = fill(i, options["metadata-bytes"]);
  const asked = directive(options, i);
  const settings = {};
  if (options["deadline-ms"] > 0) {
    settings.deadline = Date.now() + options["deadline-ms"];
  }
  const start = performance.now();
  const ignore = () => {}; // the status tells
  let made;
  if (kind === "unary") {
    made = connection.makeUnaryRequest(`/${path}`, raw, raw, message(asked), metadata, settings, ignore);
  } else if (kind === "client") {
    made = connection.makeClientStreamRequest(`/${path}`, raw, raw, metadata, settings, ignore);
  } else if (kind === "server") {
    made = connection.makeServerStreamRequest(`/${path}`, raw, raw, message(asked), metadata, settings);
  } else {
    made = connection.makeBidiStreamRequest(`/${path}`, raw, raw, metadata, settings);
  }
  let sent = 0;
  const send = () => made.write(sent++ === 0 ? message(asked) : body(asked.bytes));
  if (requestStream) {
    send();
  }
  if (kind === "client") {
    while (sent < asked.messages) {
      send();
    }
    made.end();
  }
  if (responseStream) {
    made.on("data", () => {
      if (kind === "bidi") {
        sent < asked.messages ? send() : made.end();
      }
    });
    made.on("error", ignore);
  }
  const cancel = options["cancel-after-ms"] > 0 ? setTimeout(() => made.cancel(), options["cancel-after-ms"]) : undefined;
  return new Promise((resolve) => {
    made.on("status", (status) => {
      account.add(path, grpc.status[status.code], performance.now() - start);
      clearTimeout(cancel);
      resolve();
    });
  });
}

// Makes all calls, of each kind after the other, and prints the account.
async function round(connections, options) {
  for (const kind of options.kind.split(",")) {
    let taken = 0;
    const work = async (connection) => {
      for (let i = taken++; i < options.calls; i = taken++) {
        await call(connection, options, kind, i);
      }
    };
    await Promise.all(Array.from({ length: options.concurrency }, (_, worker) => work(connections[worker % connections.length])));
  }
  account.print();
}

async function run(options, lines) {
  const connections = Array.from({ length: options.connections }, () => new grpc.Client(options.target, grpc.credentials.createInsecure(), OPTIONS));
  const ready = (connection) => new Promise((resolve, reject) => {
    connection.waitForReady(Date.now() + CONNECT_LIMIT_MS, (error) => (error ? reject(error) : resolve()));
  });
  await Promise.all(connections.map(ready));
  console.log("connected", connections.length);
  if (options.hold) {
    for await (const line of lines()) {
      if (line === "go") {
        await round(connections, options);
      }
    }
  } else {
    await round(connections, options);
  }
  connections.forEach((connection) => connection.close());
}

module.exports = { run };
