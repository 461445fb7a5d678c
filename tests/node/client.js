// Uses a real, unmodified @sentry/node and writes down what left it: every envelope.
//
// usage: node client.js PACKAGE DSN RECORD
"use strict";
const fs = require("node:fs");
const [package_, dsn, record] = process.argv.slice(2);
const Sentry = require(package_);

const envelopes = [];

function note([header, items]) {
  envelopes.push({
    header: JSON.parse(JSON.stringify(header)),
    items: items.map(([itemHeader, payload]) => ({
      header: JSON.parse(JSON.stringify(itemHeader)),
      payload: typeof payload === "string" ? payload : JSON.stringify(payload),
    })),
  });
}

Sentry.init({
  dsn,
  release: "tests@1.2.3",
  dist: "7",
  environment: "staging",
  serverName: "host-1",
  tracesSampleRate: 1,
  enableLogs: true,
  sendDefaultPii: true,
  attachStacktrace: true,
  beforeSend: (event) => (event.message === "drop me" ? null : event),
  // The client's own transport, which notes what goes over the wire.
  transport: (options) => {
    const real = Sentry.makeNodeTransport(options);
    return {
      ...real,
      send: (envelope) => {
        note(envelope);
        return real.send(envelope);
      },
    };
  },
});

class Rejected extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "Rejected";
  }
}

function firstCause(number) {
  return { sku: "tea" }.price.amount[number];
}

function errors() {
  for (let number = 0; number < 3; number++) {
    try {
      try {
        firstCause(number);
      } catch (cause) {
        throw new Rejected(`request ${number} was rejected`, { cause });
      }
    } catch (error) {
      Sentry.withScope((scope) => {
        scope.setUser({ id: `u${number}`, email: "ada@example.com", username: "ada", ip_address: "203.0.113.9" });
        scope.setTag("region", "eu");
        scope.setTag("with.dot", "dotted");
        scope.setExtra("nested", { a: [{ b: "c" }, 1, 1.5, false, null] });
        scope.setContext("shop", { cart: { items: 3, total: 12.25 } });
        scope.setLevel(number === 0 ? "fatal" : "error");
        if (number === 1) scope.setFingerprint(["{{ default }}", "mine"]);
        Sentry.addBreadcrumb({ category: "query", message: "SELECT 1", level: "debug", data: { rows: 7 } });
        Sentry.captureException(error);
      });
    }
  }
  Sentry.captureMessage("a plain message é \u{1f600}", "warning");
  Sentry.captureMessage("drop me");
}

function traces() {
  Sentry.startSpan({ name: "nightly", op: "task", attributes: { rows: 12 } }, () => {
    Sentry.startSpan({ name: "SELECT * FROM orders", op: "db", attributes: { "db.system": "sqlite" } }, () => {
      Sentry.startSpan({ name: "orders:1", op: "cache.get" }, () => {});
    });
    Sentry.logger.info("in a trace", { order: 7, flag: true, ratio: 0.5, name: "é" });
  });
}

async function main() {
  errors();
  traces();
  Sentry.logger.warn("careful");
  const checkIn = Sentry.captureCheckIn({ monitorSlug: "nightly", status: "in_progress" });
  Sentry.captureCheckIn({ checkInId: checkIn, monitorSlug: "nightly", status: "ok", duration: 1.5 });
  Sentry.startSession();
  Sentry.captureSession(true);
  await Sentry.close(20000);
}

// Not before: the client sends its report when there is nothing else to do.
process.on("exit", () => fs.writeFileSync(record, JSON.stringify(envelopes)));

main();
