// A plugin's configuration: JSON into what the author declared, with errors that begin with the path of the wrong key.

import { describe } from "./names.js";

/** A mistake in the configuration, for the operator. */
export class ConfigError extends Error {
  constructor(path, message) {
    super(path === "" ? message : `${path}: ${message}`);
    this.name = "ConfigError";
  }
}

class Schema {
  constructor(read, fallback) {
    this.read = read;
    this.fallback = fallback;
  }

  /** The key may be missing, and is this value then. */
  or(value) {
    return new Schema(this.read, { value });
  }

  /** A further condition: `check` gives what is wrong with the value, or nothing. */
  where(check) {
    const read = (value, path) => {
      const good = this.read(value, path);
      const wrong = check(good);
      if (typeof wrong === "string") throw new ConfigError(path, wrong);
      return good;
    };
    return new Schema(read, this.fallback);
  }
}

function ofType(type, wanted) {
  return new Schema((value, path) => {
    if (typeof value === type) return value;
    throw new ConfigError(path, `${described(value)}, expected ${wanted}`);
  });
}

function described(value) {
  return typeof value === "string" ? `string ${describe(value)}` : describe(value);
}

/** What keys and values may be. */
export const config = {
  text: () => ofType("string", "a string"),
  flag: () => ofType("boolean", "true or false"),
  number({ min = -Infinity, max = Infinity } = {}) {
    return ofType("number", "a number").where((value) => {
      if (value < min) return `${value} is less than ${min}`;
      return value > max ? `${value} is more than ${max}` : undefined;
    });
  },
  oneOf(...texts) {
    return config.text().where((value) => {
      return texts.includes(value) ? undefined : `${describe(value)} is none of ${texts.join(", ")}`;
    });
  },
  list(of) {
    const item = schemaOf(of);
    return new Schema((value, path) => {
      if (!Array.isArray(value)) throw new ConfigError(path, `${described(value)}, expected a list`);
      return value.map((one, i) => item.read(one, `${path}[${i}]`));
    });
  },
  map(of) {
    const member = schemaOf(of);
    return new Schema((value, path) => {
      const entries = Object.entries(objectAt(value, path));
      return new Map(entries.map(([key, one]) => [key, member.read(one, within(path, key))]));
    });
  },
  object(shape) {
    const schemas = Object.entries(shape).map(([key, of]) => [key, schemaOf(of)]);
    return new Schema((value, path) => {
      const given = objectAt(value, path);
      const unknown = Object.keys(given).find((key) => !Object.hasOwn(shape, key));
      if (unknown !== undefined) throw new ConfigError(within(path, unknown), unknownKey(Object.keys(shape)));
      return Object.fromEntries(schemas.map(([key, schema]) => [key, memberOf(given, key, schema, path)]));
    });
  },
  any: () => new Schema((value) => value),
};

function memberOf(given, key, schema, path) {
  if (Object.hasOwn(given, key)) return schema.read(given[key], within(path, key));
  if (schema.fallback !== undefined) return schema.fallback.value;
  throw new ConfigError(within(path, key), "it is missing");
}

function unknownKey(known) {
  return known.length === 0 ? "unknown key; there is nothing to configure" : `unknown key, expected ${known.join(", ")}`;
}

function objectAt(value, path) {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw new ConfigError(path, `${described(value)}, expected an object`);
}

function within(path, key) {
  return path === "" ? key : `${path}.${key}`;
}

/** A schema, or a plain object of schemas. */
function schemaOf(of) {
  return of instanceof Schema ? of : config.object(of);
}

/** Reads JSON; no configuration at all stands for an empty object. */
export function readConfig(of, json) {
  const text = json.trim();
  const value = JSON.parse(text === "" ? "{}" : text) ?? {};
  return schemaOf(of ?? {}).read(value, "");
}
