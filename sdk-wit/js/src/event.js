// One event of the batch, and the items of its lists.

import { keep } from "./answers.js";
import { ended, allOf, Rows } from "./rows.js";

/** One item of a list within an event; paths are relative to it. An event is one, too. */
export class Item {
  constructor(rows, row) {
    this.rows = rows;
    this.row = row;
  }

  text(path) {
    return this.rows.texts[path](this.row);
  }

  texts(path) {
    return allOf(this.rows.texts[path], this.row);
  }

  number(path) {
    return (this.rows.numbers[path] ?? this.rows.pullNumbers(path))(this.row);
  }

  flag(path) {
    const text = this.text(path);
    return text === "true" ? true : text === "false" ? false : undefined;
  }

  json(path) {
    return (this.rows.jsons[path] ?? this.rows.pullJsons(path))(this.row);
  }

  count(path) {
    const counts = this.counts(path);
    let sum = 0;
    for (let i = 0; i < counts.length; i++) sum += counts[i];
    return sum;
  }

  counts(path) {
    return allOf(this.rows.counts[path] ?? this.rows.pullCounts(path), this.row);
  }

  items(path) {
    const { starts, rows } = this.rows.list(path);
    const end = starts[this.row + 1];
    const items = [];
    for (let row = starts[this.row]; row < end; row++) items.push(new Item(rows, row));
    return items;
  }

  frames() {
    return this.items("stacktrace.frames");
  }
}

/** There is one for a batch, which goes from row to row: making an object costs as much as reading three values. */
export class Event extends Item {
  get index() {
    return this.row;
  }

  tag(key) {
    return (this.rows.tags[key] ?? this.rows.pullTags(key))(this.row);
  }

  exceptions() {
    return this.items("exception.values");
  }

  threads() {
    return this.items("threads.values");
  }

  get user() {
    return new User(this);
  }

  get projectId() {
    return this.number("$meta.project_id") ?? 0;
  }

  get receivedAt() {
    return this.number("$meta.received_at") ?? 0;
  }
}

/**
 * Asks `decide` about each of the `count` events of the batch, and gives what it answers to `note`, unless that is `keep`, which changes nothing.
 *
 * The loop and `text` share variables: they are what an interpreter reads fastest, and `text` is what plugins call most.
 */
export function overEvents(source, count, decide, state, note) {
  const rows = new Rows(source, "", []);
  const event = new Event(rows, 0);
  let texts = rows.texts;
  let row = 0;
  event.text = (path) => texts[path](row);
  for (; row < count; row++) {
    event.row = row;
    const answer = decide(event, state);
    if (answer !== keep) note(answer, row);
  }
  texts = ended;
  rows.end();
}

/** Who an event happened to. */
class User {
  constructor(event) {
    this.event = event;
  }

  get id() {
    return this.event.text("user.id");
  }

  get email() {
    return this.event.text("user.email");
  }

  get username() {
    return this.event.text("user.username");
  }

  get ipAddress() {
    return this.event.text("user.ip_address");
  }
}
