"""Holds the tables against what a client sent: every field is in its column or in `payload`, nothing is missing, nothing is twice.

usage: compare.py STORE RECORD

RECORD is what the client's transport noted. The tables are read by DuckDB and by pyarrow, which must give the same rows.
Ends with 1 and a list of what is wrong.
"""

import collections
import datetime
import json
import pathlib
import sys

import duckdb
import pyarrow.dataset

CATEGORIES = {
    "event": "error", "transaction": "transaction", "span": "span", "log": "log_item", "session": "session",
    "sessions": "session", "check_in": "monitor", "attachment": "attachment", "trace_metric": "trace_metric",
}
TABLES = {"event": "events", "transaction": "spans", "span": "spans", "log": "logs", "session": "sessions",
          "sessions": "sessions", "check_in": "check_ins"}

# Where a field of an item is expected in a column: name of the column, path in the item. `a|b` tries one after the other.
EVENT_COLUMNS = {
    "event_id": "event_id", "timestamp": "timestamp", "level": "level", "platform": "platform", "environment": "environment",
    "release": "release", "dist": "dist", "transaction": "transaction", "logger": "logger", "server_name": "server_name",
    "message": "logentry.formatted|logentry.message|message.formatted|message.message|message|logentry",
    "user_id": "user.id", "user_name": "user.username", "user_email": "user.email", "user_ip": "user.ip_address",
    "request_method": "request.method", "request_url": "request.url", "sdk_name": "sdk.name", "sdk_version": "sdk.version",
    "trace_id": "contexts.trace.trace_id", "span_id": "contexts.trace.span_id", "tags": "tags",
}
TRANSACTION_COLUMNS = {
    "event_id": "event_id", "timestamp": "start_timestamp", "end_timestamp": "timestamp", "transaction": "transaction",
    "platform": "platform", "environment": "environment", "release": "release", "dist": "dist",
    "trace_id": "contexts.trace.trace_id", "span_id": "contexts.trace.span_id", "segment_id": "contexts.trace.span_id",
    "op": "contexts.trace.op", "status": "contexts.trace.status", "origin": "contexts.trace.origin",
    "user_id": "user.id", "sdk_name": "sdk.name", "sdk_version": "sdk.version", "tags": "tags",
    "attributes": "contexts.trace.data", "measurements": "measurements",
}
CHILD_COLUMNS = {
    "timestamp": "start_timestamp", "end_timestamp": "timestamp", "trace_id": "trace_id", "span_id": "span_id",
    "parent_span_id": "parent_span_id", "op": "op", "description": "description", "status": "status", "origin": "origin",
    "tags": "tags", "attributes": "data",
}
SPAN_COLUMNS = {
    "timestamp": "start_timestamp", "end_timestamp": "end_timestamp", "trace_id": "trace_id", "span_id": "span_id",
    "parent_span_id": "parent_span_id", "is_segment": "is_segment", "description": "name", "status": "status",
    "op": "attributes.'sentry.op'.value", "environment": "attributes.'sentry.environment'.value",
    "release": "attributes.'sentry.release'.value", "transaction": "attributes.'sentry.segment.name'.value",
    "attributes": "attributes", "measurements": "attributes",
}
LOG_COLUMNS = {
    "timestamp": "timestamp", "level": "level", "severity_number": "severity_number", "body": "body", "trace_id": "trace_id",
    "span_id": "span_id", "environment": "attributes.'sentry.environment'.value",
    "release": "attributes.'sentry.release'.value", "sdk_name": "attributes.'sentry.sdk.name'.value",
    "attributes": "attributes", "numbers": "attributes",
}
# Maps of what is a number; all else is only in the map of texts.
NUMBERS = ("measurements", "numbers")

problems = []


def problem(text):
    problems.append(text)


# ---------------------------------------------------------------- what was sent

def items_of(envelopes):
    """(kind, header of the envelope, item as an object or None) for every item; containers are taken apart."""
    for envelope in envelopes:
        for item in envelope["items"]:
            kind = item["header"]["type"]
            if "items+json" in item["header"].get("content_type", "") or "vnd.sentry.items" in item["header"].get("content_type", ""):
                for inner in json.loads(item["payload"])["items"]:
                    yield kind, envelope["header"], inner
            elif kind == "sessions":
                # Sums by minute: each is one thing to account for.
                body = json.loads(item["payload"])
                for aggregate in body["aggregates"]:
                    yield kind, envelope["header"], {**body, "aggregates": [aggregate]}
            else:
                body = json.loads(item["payload"]) if kind != "attachment" else None
                yield kind, envelope["header"], body


# ---------------------------------------------------------------- what is in the tables

def read_tables(store):
    by_duckdb, by_pyarrow = {}, {}
    for folder in sorted(pathlib.Path(store).iterdir()):
        if not list(folder.glob("dt=*/hour=*/*.parquet")):
            continue
        relation = duckdb.sql(f"SELECT * FROM read_parquet('{folder}/dt=*/hour=*/*.parquet', hive_partitioning=false, union_by_name=true)")
        names = [column[0] for column in relation.description]
        by_duckdb[folder.name] = [dict(zip(names, row)) for row in relation.fetchall()]
        files = [str(file) for file in folder.glob("dt=*/hour=*/*.parquet")]
        by_pyarrow[folder.name] = pyarrow.dataset.dataset(files).to_table().to_pylist(maps_as_pydicts="strict")
    return by_duckdb, by_pyarrow


def plain(value):
    """A value as both engines give it, in one form."""
    if isinstance(value, datetime.datetime):
        return round(value.timestamp() * 1e6)
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return value


def same_rows(by_duckdb, by_pyarrow):
    if set(by_duckdb) != set(by_pyarrow):
        problem(f"DuckDB sees the tables {sorted(by_duckdb)}, pyarrow {sorted(by_pyarrow)}")
    for table in by_duckdb:
        left, right = (sorted(json.dumps(plain(row), sort_keys=True) for row in rows[table]) for rows in (by_duckdb, by_pyarrow))
        if left != right:
            differing = next(((a, b) for a, b in zip(left, right) if a != b), (len(left), len(right)))
            problem(f"{table}: DuckDB and pyarrow read different rows: {differing[0]!s:.2000} and {differing[1]!s:.2000}")


# ---------------------------------------------------------------- comparing

def words(path):
    """Splits at dots that are not quoted."""
    found, quoted = [""], False
    for c in path:
        if c == "'":
            quoted = not quoted
        elif c == "." and not quoted:
            found.append("")
        else:
            found[-1] += c
    return found


def dig(item, paths):
    for path in paths.split("|"):
        value = item
        for word in words(path):
            value = value.get(word) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict) or (isinstance(value, dict) and "|" not in paths):
            return value
    return None


def leaves(value, path=()):
    """Every string, number, boolean and null, with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def at(value, path):
    for step in path:
        if isinstance(value, dict) and step in value or isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def micros(value):
    if isinstance(value, (int, float)):
        return round(value * 1e6)
    return round(datetime.datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp() * 1e6)


def text(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def check_column(what, column, sent, row):
    found = row[column]
    if isinstance(found, datetime.datetime):
        # Microseconds, and a client's float has about as many digits.
        if abs(round(found.timestamp() * 1e6) - micros(sent)) > 1:
            problem(f"{what}: column {column} is {found}, sent was {sent}")
    elif isinstance(found, dict):
        want = {k: v.get("value") if isinstance(v, dict) and "value" in v else v for k, v in sent.items()}
        for key, value in want.items():
            kept = found.get(key)
            if column in NUMBERS:
                if kept != (value if isinstance(value, (int, float)) and not isinstance(value, bool) else None):
                    problem(f"{what}: column {column} has {key!r} = {kept!r}, sent was {value!r}")
                continue
            if value is None:
                continue
            if kept != text(value) and (kept is None or not same_json(kept, value)):
                problem(f"{what}: column {column} has {key!r} = {kept!r}, sent was {value!r}")
    elif isinstance(found, (bool, int, float)):
        if found != sent:
            problem(f"{what}: column {column} is {found!r}, sent was {sent!r}")
    elif found is None or found.replace("-", "").lower() != text(sent).replace("-", "").lower():
        problem(f"{what}: column {column} is {found!r}, sent was {sent!r}")


def same_json(kept, value):
    try:
        return json.loads(kept) == value
    except ValueError:
        return False


def check_columns(what, columns, item, row):
    for column, path in columns.items():
        sent = dig(item, path)
        if sent in (None, "", {}, []):
            continue
        if column not in row:
            problem(f"{what}: there is no column {column}")
            continue
        check_column(what, column, sent, row)


def check_payload(what, item, row):
    """Leaf by leaf: what was sent is in the payload, unchanged."""
    payload = json.loads(row["payload"])
    for path, value in leaves(item):
        kept = at(payload, path)
        if kept != value:
            problem(f"{what}: {'.'.join(map(str, path))} is {kept!r} in the payload, sent was {value!r}")


def check_exceptions(what, event, row):
    sent = event.get("exception") or {}
    sent = sent.get("values", []) if isinstance(sent, dict) else sent
    if len(sent) != len(row["exceptions"]):
        problem(f"{what}: {len(row['exceptions'])} exceptions in the column, {len(sent)} were sent")
    for exception, kept in zip(sent, row["exceptions"]):
        for key in ("type", "value", "module"):
            if (exception.get(key) or None) != kept[key]:
                problem(f"{what}: exception.{key} is {kept[key]!r}, sent was {exception.get(key)!r}")
        frames = (exception.get("stacktrace") or {}).get("frames", [])
        if len(frames) != len(kept["frames"]):
            problem(f"{what}: {len(kept['frames'])} frames in the column, {len(frames)} were sent")
        for frame, kept_frame in zip(frames, kept["frames"]):
            for key in ("module", "function", "filename", "lineno", "in_app"):
                if frame.get(key) != kept_frame[key]:
                    problem(f"{what}: frame.{key} is {kept_frame[key]!r}, sent was {frame.get(key)!r}")


def find(rows, what, test):
    found = [row for row in rows if test(row)]
    if len(found) != 1:
        problem(f"{what}: {len(found)} rows instead of one")
        return None
    return found[0]


def check_item(kind, header, item, tables):
    rows = tables.get(TABLES[kind], [])
    if kind in ("event", "transaction"):
        event_id = (header.get("event_id") or item["event_id"]).replace("-", "")
        what = f"{kind} {event_id}"
        row = find(rows, what, lambda r: r["event_id"] == event_id and (kind == "event" or r["is_segment"]))
        columns = EVENT_COLUMNS if kind == "event" else TRANSACTION_COLUMNS
    elif kind == "span":
        what, columns = f"span {item['span_id']}", SPAN_COLUMNS
        row = find(rows, what, lambda r: r["span_id"] == item["span_id"])
    elif kind == "log":
        what, columns = f"log {item['body']!r}", LOG_COLUMNS
        row = find(rows, what, lambda r: r["body"] == item["body"])
    else:
        # Sessions and check-ins have no id of their own on the wire: by content.
        what, columns = kind, {}
        row = find(rows, f"{kind} {json.dumps(item):.200}", lambda r: contains(json.loads(r["payload"]), item))
    if row is None:
        return
    check_columns(what, columns, item, row)
    check_payload(what, item, row)
    if kind == "event":
        check_exceptions(what, item, row)
    if kind == "transaction":
        check_children(what, item, rows)


def contains(payload, item):
    return all(at(payload, path) == value for path, value in leaves(item))


def check_children(what, transaction, rows):
    for span in transaction.get("spans", []):
        row = find(rows, f"{what}, span {span['span_id']}", lambda r: r["span_id"] == span["span_id"])
        if row is not None:
            check_columns(f"{what}, span {span['span_id']}", CHILD_COLUMNS, span, row)


def check_conservation(items, outcomes):
    """What was sent is what became of it, by category. A client report tells of items that never left the client."""
    sent, found = collections.Counter(), collections.Counter()
    for kind, _, item in items:
        if kind == "client_report":
            for row in item["discarded_events"]:
                # Bytes are no items: they are told beside the items.
                if not row["category"].endswith("_byte"):
                    sent[row["category"], "client_discard"] += row["quantity"]
        else:
            sent[CATEGORIES[kind], "accepted" if kind in TABLES else "invalid"] += 1
    for row in outcomes:
        found[row["category"], row["outcome"]] += row["quantity"]
    if sent != found:
        problem(f"sent {dict(sent)}, and the outcomes are {dict(found)}")


def main():
    store, record = sys.argv[1:]
    with open(record) as file:
        items = list(items_of(json.load(file)))
    by_duckdb, by_pyarrow = read_tables(store)
    same_rows(by_duckdb, by_pyarrow)
    for tables in (by_duckdb, by_pyarrow):
        for kind, header, item in items:
            if kind in TABLES:
                check_item(kind, header, item, tables)
    check_conservation(items, by_duckdb.get("outcomes", []))
    kinds = collections.Counter(kind for kind, _, _ in items)
    leaf_count = sum(1 for _, _, item in items for _ in leaves(item or {}))
    print(json.dumps({"kinds": kinds, "leaves": leaf_count, "problems": len(problems)}))
    for line in problems[:60]:
        print(line, file=sys.stderr)
    sys.exit(1 if problems else 0)


main()
