"""Prints what became of what the shop sent: from the Parquet files alone, with DuckDB. Tamis is not asked.

usage: report.py STORE SENT

SENT is what the shop counted at its SDK's transport. Ends with 1 if the two do not add up.
"""

import json
import pathlib
import sys

import duckdb

STORE, SENT = sys.argv[1:]
# What the shop leaks, in `leak` of app.py.
SECRETS = [
    "4111 1111 1111 1111", "5555-5555-5555-4444", "078-05-1120", "s3cret", "Bearer 0123456789abcdef",
    "tok_live_0123456789abcdef", "@example.com",
]
BOLD, DIM, RED, PLAIN = ("\033[1m", "\033[2m", "\033[31m", "\033[0m") if sys.stdout.isatty() else ("",) * 4


def title(text):
    print(f"\n{BOLD}{text}{PLAIN}")


def table(name):
    return f"read_parquet('{STORE}/{name}/**/*.parquet', union_by_name=true)"


def has_table(name):
    return any(pathlib.Path(STORE, name).rglob("*.parquet"))


def rows(sql):
    return duckdb.sql(sql).fetchall()


def print_table(header, lines, right=()):
    cells = [header, *[["" if cell is None else str(cell) for cell in line] for line in lines]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(header))]
    for number, line in enumerate(cells):
        padded = [c.rjust(w) if i in right else c.ljust(w) for i, (c, w) in enumerate(zip(line, widths))]
        text = "  ".join(padded).rstrip()
        print(f"  {DIM}{text}{PLAIN}" if number == 0 else f"  {text}")


def outcomes(sent, discarded):
    """One line per outcome and reason, and the sum. Says whether it holds."""
    title("What was sent, and what became of it")
    found = rows(f"""
        SELECT category, outcome, coalesce(reason, ''), coalesce(stage, ''), sum(quantity)::BIGINT
        FROM {table('outcomes')} GROUP BY ALL ORDER BY 1, 2, 3""")
    print_table(["category", "outcome", "reason", "decided by", "items"], found, right={4})
    print()
    made = {category: sent.get(category, 0) + discarded.get(category, 0) for category in sent | discarded}
    holds = True
    for category in sorted(made | {line[0]: 0 for line in found}):
        parts = {}
        for _, outcome, _, _, quantity in (line for line in found if line[0] == category):
            parts[outcome] = parts.get(outcome, 0) + quantity
        fits = made.get(category, 0) == sum(parts.values())
        holds = holds and fits
        text = " + ".join(f"{quantity} {outcome.replace('_', ' ')}" for outcome, quantity in parts.items()) or "nothing"
        sign, note = ("=", "") if fits else ("!=", f"   {RED}this does not add up{PLAIN}")
        print(f"  {category:<12} {made.get(category, 0):>4} sent {sign} {text}{note}")
    return holds


def groups():
    title("Groups, from groups/ (users from events/)")
    found = rows(f"""
        WITH users AS (SELECT group_id, count(DISTINCT user_id) AS users FROM {table('events')} GROUP BY ALL)
        SELECT left(any_value(title), 44), left(any_value(culprit), 24), sum(count)::BIGINT, round(sum(weighted_count), 1),
               any_value(users), strftime(min(first_seen), '%H:%M:%S'), strftime(max(last_seen), '%H:%M:%S')
        FROM {table('groups')} JOIN users USING (group_id) GROUP BY group_id ORDER BY 3 DESC, 1""")
    print_table(["title", "culprit", "count", "weighted", "users", "first seen", "last seen"], found, right={2, 3, 4})
    sampled = rows(f"""
        SELECT transaction, count(*), round(sum(1 / sample_rate))::BIGINT FROM {table('spans')} WHERE is_segment
        GROUP BY ALL ORDER BY 3 DESC""") if has_table("spans") else []
    title("Transactions that were kept; sum(1 / sample_rate) estimates how many there were")
    print_table(["transaction", "kept", "estimate"], sampled, right={1, 2})


def leaves(value, path=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            if path or key != "_meta":
                yield from leaves(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}.{index}")
    else:
        yield path, value


def short(value, width=58):
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= width else text[: width - 3] + "..."


def scrubbed(before):
    """The event that leaked, as the shop sent it and as it is in events/."""
    title("An event, before and after the scrubber (what differs)")
    found = rows(f"SELECT payload FROM {table('events')} WHERE event_id = '{before['event_id']}'")
    if len(found) != 1:
        print(f"  {RED}event {before['event_id']} is {len(found)} times in the tables{PLAIN}")
        return False
    after = json.loads(found[0][0])
    kept = dict(leaves(after))
    changes = [(path, value, kept.get(path)) for path, value in leaves(before) if kept.get(path) != value]
    changes.sort(key=lambda change: change[0].startswith("exception"))
    for path, was, became in changes[:12]:
        print(f"  {path}\n    {DIM}before{PLAIN}  {short(was, 100)}\n    {DIM}after{PLAIN}   {short(became, 100)}")
    if len(changes) > 12:
        print(f"  ... and {len(changes) - 12} more")
    print(f"  {DIM}the payload's _meta says where, by which rule, and how long it was{PLAIN}")
    # Its stack frames quote the source of the shop, where these stand as well: that is text of a program, not of its users.
    said = json.dumps({key: value for key, value in after.items() if key != "exception"})
    left = [secret for secret in SECRETS if secret in said]
    if left:
        print(f"  {RED}still there: {', '.join(left)}{PLAIN}")
    return bool(changes) and not left


def where():
    title("Where the files are")
    found = rows(f"""
        SELECT split_part(substr(file_name, {len(STORE) + 2}), '/', 1), count(*), sum(num_rows)::BIGINT,
               sum(file_size_bytes)::BIGINT
        FROM parquet_file_metadata('{STORE}/*/dt=*/hour=*/*.parquet') GROUP BY ALL ORDER BY 1""")
    lines = [(f"{STORE}/{name}/", files, count, f"{size / 1024:.0f} KiB") for name, files, count, size in found]
    print_table(["folder", "files", "rows", "size"], lines, right={1, 2, 3})
    title("A query to try next, with DuckDB or whatever reads Parquet")
    print(f"""  SELECT exceptions[-1].frames[-1].function AS place, count(*), list(DISTINCT title)
  FROM read_parquet('{STORE}/events/**/*.parquet') GROUP BY 1 ORDER BY 2 DESC;""")


def main():
    with open(SENT) as file:
        sent = json.load(file)
    holds = outcomes(sent["sent"], sent["discarded"])
    groups()
    is_scrubbed = scrubbed(sent["leak"])
    where()
    if not holds:
        print(f"\n{RED}sent and outcomes differ: that is a bug of Tamis{PLAIN}", file=sys.stderr)
    sys.exit(0 if holds and is_scrubbed else 1)


main()
