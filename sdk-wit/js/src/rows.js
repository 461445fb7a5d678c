// The columns that a plugin has pulled of the current batch, by path.
//
// A column is pulled at the first use of its path, for the whole batch, and is a function of the row from then on. What a plugin reads per event
// is then a member of an object and a call, which an interpreter can do fast.

import { countsOf, numbersOf, textsOf, textsOfJoined } from "./columns.js";
import { join, listOfLastStar, quote } from "./paths.js";

const ENDED = "an event, an item or a leaf was used after the call that it belongs to: keep what you read, not the event";

/** Stands in the place of the host, and of what was pulled, where a call is over. */
export const ended = new Proxy({}, {
  get() {
    throw new Error(ENDED);
  },
});

/** The events of the batch, or the items of one list in all of them. */
export class Rows {
  constructor(source, prefix, all) {
    this.source = source;
    this.prefix = prefix;
    this.all = all;
    all.push(this);
    // A path that is not there yet is looked for in the prototype, and pulled by that: so reading a text that is there needs no question.
    this.texts = Object.create(new Proxy({}, { get: (_, path) => this.pullTexts(path) }));
    this.numbers = Object.create(null);
    this.jsons = Object.create(null);
    this.tags = Object.create(null);
    this.counts = Object.create(null);
    this.lists = Object.create(null);
  }

  /** Ends the batch: what was pulled goes, and nothing can be pulled by what was kept of it. */
  end() {
    for (const rows of this.all) {
      rows.texts = rows.numbers = rows.jsons = rows.tags = rows.counts = rows.lists = ended;
      // A cycle would wait for the garbage collector.
      rows.all = [];
    }
  }

  pullTexts(path) {
    return (this.texts[path] = this.column(path, this.textsAt(join(this.prefix, path))));
  }

  /**
   * In one text if the host can: an interpreter cuts that faster than it reads lists of numbers. Not for lists, of which a plugin looks at few
   * rows and would pay for all of them.
   */
  textsAt(full) {
    const joined = full.includes("*") ? undefined : this.source.joined(full);
    return typeof joined === "string" ? textsOfJoined(joined) : textsOf(this.source.strings(full));
  }

  pullNumbers(path) {
    return (this.numbers[path] = this.column(path, numbersOf(this.source.numbers(join(this.prefix, path)))));
  }

  pullJsons(path) {
    return (this.jsons[path] = this.column(path, textsOf(this.source.json(join(this.prefix, path)))));
  }

  pullTags(key) {
    return (this.tags[key] = this.textsAt(join(this.prefix, `tags.${quote(key)}`)));
  }

  pullCounts(path) {
    return (this.counts[path] = this.column(path, countsOf(this.source.counts(join(this.prefix, path)))));
  }

  /** The list under `path`: where the items of each row begin, and the items as rows. */
  list(path) {
    return this.lists[path] ?? this.pullList(path);
  }

  pullList(path) {
    const full = join(this.prefix, path);
    const counts = this.source.counts(full);
    let starts = [0];
    for (let i = 0, next = 0; i < counts.length; i++) starts.push((next += counts[i]));
    const outer = listOfLastStar(path);
    if (outer !== undefined) starts = this.list(outer).starts.map((row) => starts[row]);
    return (this.lists[path] = { starts, rows: new Rows(this.source, join(full, "*"), this.all) });
  }

  /** A column of a path with stars has several values for a row: the first there is counts, and `all` gives all. */
  column(path, read) {
    const outer = listOfLastStar(path);
    if (outer === undefined) return read;
    const { starts } = this.list(outer);
    const first = (row) => {
      for (let at = starts[row]; at < starts[row + 1]; at++) {
        const value = read(at);
        if (value !== undefined) return value;
      }
      return undefined;
    };
    first.all = (row) => {
      const values = [];
      for (let at = starts[row]; at < starts[row + 1]; at++) values.push(read(at));
      return values;
    };
    return first;
  }
}

/** All values of a row. */
export function allOf(column, row) {
  return column.all === undefined ? [column(row)] : column.all(row);
}
