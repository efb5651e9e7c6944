// The server: see peer.js.
"use strict";

const { performance } = require("node:perf_hooks");
const { setTimeout: sleep } = require("node:timers/promises");
const grpc = require("@grpc/grpc-js");
const { Account } = require("./account");
const { KINDS, OPTIONS, SERVICE, body, fill, parse, raw } = require("./service");

// How long calls may go on after the end was asked for.
const GRACE_MS = 5000;

const account = new Account("server");
let served = 0;

// Waits, and sends the response's headers; or throws how the call fails without them.
async function begin(call, directive) {
  if (directive.delay_ms > 0) {
    await sleep(directive.delay_ms);
  }
  const head = fill(++served, directive.metadata_bytes);
  if (directive.failsAtOnce) {
    throw outcome(directive, head);
  }
  call.sendMetadata(head);
}

async function end(directive) {
  if (directive.end_delay_ms > 0) {
    await sleep(directive.end_delay_ms);
  }
  if (directive.status !== 0) {
    throw outcome(directive, new grpc.Metadata());
  }
}

function outcome(directive, metadata) {
  return Object.assign(new Error("as asked for"), { code: directive.status, details: "as asked for", metadata });
}

async function unary(call, callback) {
  try {
    const directive = parse(call.request);
    await begin(call, directive);
    await end(directive);
    callback(null, body(directive.bytes));
  } catch (error) {
    callback(error);
  }
}

async function client(call, callback) {
  try {
    let directive;
    for await (const request of call) {
      directive ??= parse(request);
    }
    await begin(call, directive);
    await end(directive);
    callback(null, body(directive.bytes));
  } catch (error) {
    callback(error);
  }
}

async function server(call) {
  try {
    const directive = parse(call.request);
    await begin(call, directive);
    for (let n = 0; n < directive.messages; n++) {
      call.write(body(directive.bytes));
    }
    await end(directive);
    call.end();
  } catch (error) {
    call.emit("error", error);
  }
}

// With events and not as an iteration: leaving an iteration early would destroy the stream before its status is sent.
function bidi(call) {
  let directive;
  const fail = (error) => call.emit("error", error);
  call.on("data", (request) => {
    if (directive !== undefined) {
      call.write(body(directive.bytes));
      return;
    }
    call.pause();
    const first = async () => {
      directive = parse(request);
      await begin(call, directive);
      call.write(body(directive.bytes));
      call.resume();
    };
    first().catch(fail);
  });
  call.on("end", () => end(directive).then(() => call.end(), fail));
}

// From the call's headers to the sending of its status, by an interceptor, as near to the transport as grpc-js lets one.
function clock(method, next) {
  const start = performance.now();
  let open = true;
  const ended = (status) => {
    if (open) {
      open = false;
      account.add(method.path.slice(1), grpc.status[status], performance.now() - start);
    }
  };
  return new grpc.ServerInterceptingCall(next, {
    start: (proceed) => proceed({
      // The client, or its deadline, ended it.
      onCancel: () => {
        const late = Date.now() >= Number(next.getDeadline());
        ended(late ? grpc.status.DEADLINE_EXCEEDED : grpc.status.CANCELLED);
      },
    }),
    sendStatus: (status, proceed) => {
      proceed(status);
      ended(status.code);
    },
  });
}

function describe() {
  const kinds = { ...KINDS };
  for (let n = 2; n <= 5; n++) {
    kinds[`unary${n}`] = { ...KINDS.unary, name: `Unary${n}` };
  }
  const codec = { requestSerialize: raw, requestDeserialize: raw, responseSerialize: raw, responseDeserialize: raw };
  return Object.fromEntries(Object.values(kinds).map(({ name, ...streams }) => [name, { path: `/${SERVICE}/${name}`, ...streams, ...codec }]));
}

// `lines` ends when the server is to end.
async function serve({ listen }, lines) {
  const peer = new grpc.Server({ ...OPTIONS, interceptors: [clock] });
  const unaries = Object.fromEntries(["", 2, 3, 4, 5].map((n) => [`Unary${n}`, unary]));
  peer.addService(describe(), { ...unaries, ClientStream: client, ServerStream: server, Bidi: bidi });
  const port = await new Promise((resolve, reject) => {
    peer.bindAsync(listen, grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  console.log("listening", listen.startsWith("unix:") ? listen : listen.replace(/:\d+$/, `:${port}`));
  for await (const line of lines) {
    if (line === "account") {
      account.print();
    }
  }
  const forced = setTimeout(() => peer.forceShutdown(), GRACE_MS);
  await new Promise((resolve) => peer.tryShutdown(resolve));
  clearTimeout(forced);
  account.print();
}

module.exports = { serve };
