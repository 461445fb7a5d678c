// Types of @tamis/plugin. What is said here holds in JavaScript, too.

/**
 * One item of a list within an event, such as an exception or a frame; paths are relative to it.
 *
 * It belongs to the call in which it was given: keep what you read, never the item. Every method that takes a path pulls that path's values for
 * the whole batch at its first use. A path that can not be parsed, or that the stage was not granted, ends the call: the host applies the
 * stage's failure policy. In tests it throws, with the same message.
 */
export interface Item {
  /** The string, number or boolean under `path`, as text. Of a path with stars, the first there is. */
  text(path: string): string | undefined;
  /** The texts under a path with stars, e.g. `exception.values.*.type`; `undefined` where an item has none. */
  texts(path: string): (string | undefined)[];
  /** The number under `path`. A string is none, also if it looks like a number. */
  number(path: string): number | undefined;
  /** The boolean under `path`. */
  flag(path: string): boolean | undefined;
  /** Whatever is under `path`, as JSON text. It costs more than the others: all of it is copied. */
  json(path: string): string | undefined;
  /** The number of elements of the list, or of members of the object, under `path`; 0 where there is neither. */
  count(path: string): number;
  /** The same for a path with stars: a number for each item. */
  counts(path: string): number[];
  /**
   * The items of the list (or the values of the object) under `path`. The items of a path with stars, such as
   * `exception.values.*.stacktrace.frames`, follow each other.
   */
  items(path: string): Item[];
  /** The frames of this exception's or thread's stack trace, the outermost call first. */
  frames(): Item[];
}

/** One event of the batch. There is one object for all of them, which goes on to the next event after each call: never keep it. */
export interface Event extends Omit<Item, "frames"> {
  /** The place of this event in the batch. */
  readonly index: number;
  /** The tag with that key, whatever is in the key and in whichever form the client sent tags. */
  tag(key: string): string | undefined;
  /** The exceptions, in the order of the event: the last one is the one that was raised last. */
  exceptions(): Item[];
  /** The threads. */
  threads(): Item[];
  readonly user: User;
  /** The id of the project that the event belongs to. */
  readonly projectId: number;
  /** When the host received the event, in milliseconds since 1970-01-01 UTC. A plugin has no other clock. */
  readonly receivedAt: number;
}

/** Who an event happened to. */
export interface User {
  readonly id: string | undefined;
  readonly email: string | undefined;
  readonly username: string | undefined;
  readonly ipAddress: string | undefined;
}

declare const answer: unique symbol;
/** The answer that changes nothing: the event is kept, at the rate 1. */
export interface Keep {
  readonly [answer]: "keep";
}
export interface Drop {
  readonly [answer]: "drop";
}
export interface Rate {
  readonly [answer]: "rate";
}
export const keep: Keep;
/** The event is dropped for this reason, a short key such as `web-crawlers`; it stands in the event's outcome. */
export function drop(reason: string): Drop;
/**
 * The event is kept at this rate, and `rule` is what decided it, as the outcome will name it. What is below 0 or above 1 is brought to the nearer
 * end. The host draws, from the trace id, so that a trace is kept or dropped as a whole on every machine.
 */
export function rate(value: number, rule?: string): Rate;

/** Where the fingerprints of an event go, the one that decides its group first. None is no opinion. */
export interface Fingerprints {
  /** Adds a fingerprint of 1 to 64 bytes, of a kind such as `app` or `system`. An event can have 64. */
  push(kind: string, fingerprint: string): void;
}

/**
 * One value that a selector names. There is one object for all of them, which goes on to the next value after each call: never keep it.
 *
 * Edits name the rule that asks for them, as the event's `_meta` will show it: `@email:replace`. Without `start` and `end`, which are
 * indices into `text`, they are of the whole value; of a leaf that is no string only that can be edited. Where edits of a leaf
 * overlap, the earlier one is stretched over both.
 */
export interface Leaf {
  /** Its path, with `*` for elements of arrays. */
  readonly path: string;
  /** A string without quotes and escapes, a number or boolean as in JSON, nothing for an object or array. */
  readonly text: string;
  readonly kind: "string" | "number" | "boolean" | "object" | "array";
  /** The place of its event in the batch. */
  readonly event: number;
  /** The index, in `selectors`, of the selector that named it. */
  readonly selector: number;
  /** Takes the range out. Of a whole value, null stays. */
  remove(rule: string, start?: number, end?: number): void;
  /** Puts `text` in the place of the range. */
  replace(text: string, rule: string, start?: number, end?: number): void;
  /** Puts `character` in the place of each character of the range. */
  mask(character: string, rule: string, start?: number, end?: number): void;
  /** Puts the HMAC-SHA1 of the range under `key` in its place, as 40 upper-case hexadecimal digits. */
  hash(key: string, rule: string, start?: number, end?: number): void;
}

/** What a key of the configuration may be. */
export interface Schema<T> {
  /** The key may be missing, and is this value then. */
  or<U>(value: U): Schema<T | U>;
  /** A further condition: `check` gives what is wrong with the value, or nothing. */
  where(check: (value: T) => string | undefined | void): Schema<T>;
}
/** A schema, or an object of them. */
export type Shape = Schema<any> | { readonly [key: string]: Shape };
/** The type that a schema reads: `Infer<typeof schema>`. */
export type Infer<S> = S extends Schema<infer T> ? T : { [K in keyof S]: Infer<S[K]> };

/**
 * What the configuration may be. A mistake in it is refused with its path: `projects.42.rate: string "high", expected a number`.
 * Unknown keys are mistakes.
 */
export const config: {
  text(): Schema<string>;
  number(bounds?: { min?: number; max?: number }): Schema<number>;
  flag(): Schema<boolean>;
  oneOf<const T extends string[]>(...texts: T): Schema<T[number]>;
  list<const S extends Shape>(of: S): Schema<Infer<S>[]>;
  /** An object with any keys, whose values are all alike. */
  map<const S extends Shape>(of: S): Schema<Map<string, Infer<S>>>;
  object<const S extends { readonly [key: string]: Shape }>(shape: S): Schema<Infer<S>>;
  any(): Schema<any>;
};

interface Starts<S extends Shape, State> {
  /** What the configuration may be. Without it there is nothing to configure. */
  config?: S;
  /** Makes of the configuration what each call is given; without it that is the configuration. An error refuses it and is shown to the operator. */
  init?(config: Infer<S>): State;
}

export interface Plugin {
  readonly kind: "filter" | "sampler" | "scrubber" | "fingerprinter";
}

/** A plugin that decides which events are kept. */
export function filter<const S extends Shape = {}, State = Infer<S>>(
  definition: Starts<S, State> & { filter(event: Event, state: State): Keep | Drop },
): Plugin;

/** A plugin that decides at which rate events are kept. */
export function sampler<const S extends Shape = {}, State = Infer<S>>(
  definition: Starts<S, State> & { sample(event: Event, state: State): Keep | Rate },
): Plugin;

/** A plugin that takes out of events what must not be kept. */
export function scrubber<const S extends Shape = {}, State = Infer<S>>(
  definition: Starts<S, State> & {
    /** Which values it wants to see; `**` is every string. One that the host does not take refuses the configuration. */
    selectors: string[] | ((state: State) => string[]);
    /** Looks at one value. One that several selectors name comes once for each. */
    scrub(leaf: Leaf, state: State): void;
  },
): Plugin;

/** A plugin that says which events are the same. */
export function fingerprinter<const S extends Shape = {}, State = Infer<S>>(
  definition: Starts<S, State> & { fingerprint(event: Event, out: Fingerprints, state: State): void },
): Plugin;

/** The MD5 of texts, in hexadecimal. Each is followed by a zero byte, so that "a", "bc" is not "ab", "c". */
export function hashOf(...parts: (string | undefined)[]): string;

/** The host's log. Lines carry the stage and its generation, are cut at 4 KiB, and limited in number. `console` writes there, too. */
export const log: {
  error(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  info(...values: unknown[]): void;
  debug(...values: unknown[]): void;
};
