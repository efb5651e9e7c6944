// A gRPC server and client on @grpc/grpc-js, whose own counters and clocks are the truth that Fleetscope's measurements are
// compared with. What it says and understands is in tests/peers/README.md.
"use strict";

const readline = require("node:readline");
const { parseArgs } = require("node:util");
const { run } = require("./client");
const { serve } = require("./server");

const NUMBERS = {
  calls: 1, concurrency: 1, connections: 1, methods: 1, "delay-ms": 0, "end-delay-ms": 0, messages: 1, bytes: 0, "metadata-bytes": 0,
  "deadline-ms": 0, "cancel-after-ms": 0,
};
const TEXTS = { listen: "127.0.0.1:0", target: "", kind: "unary", status: "OK" };

// The lines of standard input, up to its end or SIGTERM.
function lines() {
  const input = readline.createInterface({ input: process.stdin });
  process.once("SIGTERM", () => input.close());
  return input;
}

async function main([verb, ...args]) {
  const options = Object.fromEntries([...Object.keys(NUMBERS), ...Object.keys(TEXTS)].map((name) => [name, { type: "string" }]));
  const { values } = parseArgs({ args, options: { ...options, "trailers-only": { type: "boolean" }, hold: { type: "boolean" } } });
  for (const [name, start] of Object.entries(NUMBERS)) {
    values[name] = Number(values[name] ?? start);
  }
  const settings = { ...TEXTS, ...values };
  if (verb === "server") {
    await serve(settings, lines());
  } else if (verb === "client") {
    await run(settings, lines);
  } else {
    throw new Error("server or client: see tests/peers/README.md for the command line");
  }
}

main(process.argv.slice(2)).then(
  () => process.stdout.write("", () => process.exit(0)),
  (error) => {
    console.error(error);
    process.exitCode = 1;
    process.stdin.destroy();
  },
);
