// Stack traces that speak of the author's files: the bundle carries the mappings of its source map.

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** An error as the log shows it: name, message and stack, with the lines of the author's files. */
export function described(error, map) {
  if (!(error instanceof Error)) return `${describedThrown(error)} was thrown; throw an Error to see where`;
  const stack = (error.stack ?? "").trimEnd();
  const lines = [`${error.name}: ${error.message}`];
  if (stack !== "") lines.push(map === undefined ? stack : mapped(stack, map));
  if (error.cause !== undefined) lines.push(`caused by ${described(error.cause, map)}`);
  return lines.filter((line) => line !== "").join("\n");
}

function describedThrown(value) {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return String(value);
  }
}

/** A stack with the places of the author's files, without the SDK's frames. */
export function mapped(stack, map) {
  const lines = decode(map.mappings);
  const ofAuthor = (line) => !line.includes("(@tamis/plugin/");
  return stack.split("\n").map((line) => placed(line, lines, map.sources)).filter(ofAuthor).join("\n");
}

/** A line of a stack with the place in the author's file. */
function placed(text, lines, sources) {
  return text.replace(/\(?([^\s()]+):(\d+):(\d+)\)?/g, (whole, _, line, column) => {
    const segments = lines[line - 1] ?? [];
    // The last segment that begins at or before the column (0-based in the map, 1-based in the stack).
    const segment = segments.findLast((one) => one[0] <= column - 1) ?? segments[0];
    if (segment === undefined) return whole;
    return `(${sources[segment[1]]}:${segment[2] + 1}:${segment[3] + 1})`;
  });
}

/** For each line of the bundle its segments: column there, source, line, column; all from 0. */
function decode(mappings) {
  let [source, line, column] = [0, 0, 0];
  return mappings.split(";").map((group) => {
    let generated = 0;
    const segments = [];
    for (const text of group.split(",")) {
      const numbers = numbersOf(text);
      if (numbers.length < 4) continue;
      generated += numbers[0];
      source += numbers[1];
      line += numbers[2];
      column += numbers[3];
      segments.push([generated, source, line, column]);
    }
    return segments;
  });
}

/** Base64 VLQ: five bits a digit, the lowest first, the sign in the lowest of all. */
function numbersOf(text) {
  const numbers = [];
  let value = 0;
  let shift = 0;
  for (const digit of text) {
    const bits = DIGITS.indexOf(digit);
    value += (bits & 31) << shift;
    shift += 5;
    if (bits < 32) {
      numbers.push(value & 1 ? -(value >> 1) : value >> 1);
      value = 0;
      shift = 0;
    }
  }
  return numbers;
}
