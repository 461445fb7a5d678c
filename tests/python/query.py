"""Runs one query with DuckDB and prints the rows as a JSON list of objects. Times are printed as text."""

import json
import sys

import duckdb

result = duckdb.connect().execute(sys.argv[1])
names = [column[0] for column in result.description]
json.dump([dict(zip(names, row)) for row in result.fetchall()], sys.stdout, default=str)
