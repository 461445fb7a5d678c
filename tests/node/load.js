// A real, unmodified @sentry/node under load: sends errors until stdin is closed, then writes down by id what the server answered.
//
// usage: node load.js DSN RECORD EVENTS_PER_SECOND
"use strict";
const fs = require("node:fs");
const [dsn, record, rate] = process.argv.slice(2);
const Sentry = require("sentry-node-11");

const answers = { kept: [], refused: [], unknown: [] };

Sentry.init({
  dsn,
  defaultIntegrations: false,
  sendClientReports: false,
  // The client's own transport, which notes what became of each envelope.
  transport: (options) => {
    const real = Sentry.makeNodeTransport(options);
    return {
      ...real,
      send: async (envelope) => {
        const id = envelope[0].event_id;
        const note = (list) => id && list.push(id);
        try {
          const answer = await real.send(envelope);
          // No status: the client itself held it back, since it was told to come again later.
          if (answer?.statusCode) note(answer.statusCode === 200 ? answers.kept : answers.refused);
          return answer;
        } catch (error) {
          note(answers.unknown);
          throw error;
        }
      },
    };
  },
});

let number = 0;
const timer = setInterval(() => {
  number += 1;
  Sentry.captureException(new Error(`number ${number}`));
}, 1000 / Number(rate));

process.stdin.resume();
process.stdin.on("end", async () => {
  clearInterval(timer);
  await Sentry.close(30000);
  fs.writeFileSync(record, JSON.stringify(answers));
  process.exit(0);
});
