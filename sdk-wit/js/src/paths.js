// The small language of paths, as far as an SDK must know it.

/** The path of the list whose items the last star of `path` stands for; `undefined` if there is no star. */
export function listOfLastStar(path) {
  if (!path.includes("*")) return undefined;
  let quoted = false;
  let star = -1;
  for (let at = 0; at < path.length; at++) {
    const c = path[at];
    if (c === "\\" && quoted) at++;
    else if (c === "'") quoted = !quoted;
    else if (c === "*" && !quoted) star = at;
  }
  if (star === -1) return undefined;
  const list = path.slice(0, star);
  return list.endsWith(".") ? list.slice(0, -1) : list;
}

export function join(front, back) {
  return front === "" || back === "" ? front + back : `${front}.${back}`;
}

/** A key as a segment of a path, whatever is in it. */
export function quote(key) {
  return `'${key.replace(/['\\]/g, "\\$&")}'`;
}
