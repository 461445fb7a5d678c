"""The columns that a plugin has pulled of the current batch, found by path.

A value is read some thousand times for each time that a column is pulled, and what costs is the number of steps that Python takes
for it. So a column is a tuple of lists under its path in a dictionary that pulls what is missing, its bytes are decoded at once, and the text of
a row is cut out of them when it is asked for: cutting all of them costs as much for a row that nobody reads as for one that is read.
"""

from itertools import pairwise
from typing import Any, Generic, NamedTuple, TypeVar

from ._paths import join, list_of, quote
from ._source import Source, Texts

# What stands between two rows, and in the place of one that is absent, in what `joined` gives.
ROW_SEPARATOR = "\x1e"
ABSENT_ROW = "\x1f"

# Texts: `(data, starts, ends, present)`. Row `i` is `data[starts[i]:ends[i]]`, and is there if `present` is None or `present[i]` is not 0.
# A tuple and nothing derived from it, because the interpreter takes apart no other kind as fast.
Column = tuple[str, list[int], list[int], bytes | None]


def text_at(column: Column, row: int) -> str | None:
    data, starts, ends, present = column
    if present is None or present[row]:
        return data[starts[row] : ends[row]]
    return None


def decode(offsets: list[int], data: bytes) -> tuple[str, list[int], list[int]]:
    """The text in one piece, and where each part of it begins and ends (the beginnings are one more: the end of all)."""
    text = data.decode()
    if len(text) != len(data):
        # Offsets are of bytes. Python counts characters, and there are fewer of them.
        at = 0
        offsets = [0, *(at := at + len(data[start:end].decode()) for start, end in pairwise(offsets))]
    return text, offsets, offsets[1:]


def column(texts: Texts) -> Column:
    present = texts.presence if 0 in texts.presence else None
    return *decode(texts.offsets, texts.data), present


class Lists(dict[str, "ListRows"]):
    """Lists within rows, by path."""

    __slots__ = ("prefix", "source")

    def __init__(self, source: Source, prefix: str) -> None:
        self.source = source
        self.prefix = prefix

    def __missing__(self, path: str) -> "ListRows":
        full = join(self.prefix, path)
        starts = [0]
        for count in self.source.counts(full):
            starts.append(starts[-1] + count)
        if (outer := list_of(path)) is not None:
            # The items of all those lists in a row.
            starts = [starts[row] for row in self[outer].starts]
        found = self[path] = ListRows(starts, Rows(self.source, join(full, "*")))
        return found

    def ranges(self, path: str) -> list[int] | None:
        """Where the values of each row begin, for a path with stars."""
        outer = list_of(path)
        return None if outer is None else self[outer].starts


class ListRows(NamedTuple):
    """The items of a list: those of row `i` are the rows `starts[i]` to `starts[i + 1]` of `rows`."""

    starts: list[int]
    rows: "Rows"


V = TypeVar("V")


class _Columns(dict[str, V], Generic[V]):
    """What all dictionaries of columns know."""

    __slots__ = ("all", "lists", "prefix", "source")

    def __init__(self, source: Source, prefix: str, lists: Lists) -> None:
        self.source = source
        self.prefix = prefix
        self.lists = lists
        # The columns of paths with stars, which have several rows for one.
        self.all: dict[str, Any] = {}


class TextColumns(_Columns[Column]):
    """Texts by path. Of a path with stars, the first of each row."""

    __slots__ = ()

    def pull(self, path: str) -> Texts:
        return self.source.strings(join(self.prefix, path))

    def __missing__(self, path: str) -> Column:
        every, ranges = self.every(path)
        if ranges is not None:
            data, starts, ends, present = every
            present = present or b"\1" * len(ends)
            firsts = [present.find(1, start, end) for start, end in pairwise(ranges)]
            # A row without values finds -1, takes what is behind them all, and is absent.
            starts, ends = [*starts, 0], [*ends, 0]
            every = data, [starts[row] for row in firsts], [ends[row] for row in firsts], bytes(row >= 0 for row in firsts)
        self[path] = every
        return every

    def every(self, path: str) -> tuple[Column, list[int] | None]:
        """All rows, and where those that belong to each row of these begin, if they are not the same."""
        ranges = self.lists.ranges(path)
        if path not in self.all:
            self.all[path] = column(self.pull(path))
        return self.all[path], ranges


class Values(dict[str, list[str | None]]):
    """Texts of the events themselves by path, one for each event: what plugins read most, so it is a list and nothing else.

    Of a path without stars the host gives all of them in one text, which the interpreter cuts faster than it makes a number of each offset.
    """

    __slots__ = ("columns",)

    def __init__(self, columns: TextColumns) -> None:
        self.columns = columns

    def __missing__(self, path: str) -> list[str | None]:
        joined = None if "*" in path else self.columns.source.joined(path)
        values: list[str | None]
        if joined is None:
            column = self.columns[path]
            values = [text_at(column, row) for row in range(len(column[2]))]
        else:
            values = list(joined.split(ROW_SEPARATOR))
            if ABSENT_ROW in joined:
                values = [None if value == ABSENT_ROW else value for value in values]
        self[path] = values
        return values


class JsonColumns(TextColumns):
    """JSON by path."""

    __slots__ = ()

    def pull(self, path: str) -> Texts:
        return self.source.json(join(self.prefix, path))


class TagColumns(TextColumns):
    """Tags by key."""

    __slots__ = ()

    def __missing__(self, key: str) -> Column:
        found = self[key] = column(self.pull(f"tags.{quote(key)}"))
        return found


class NumberColumns(_Columns[list[float | None]]):
    """Numbers by path."""

    __slots__ = ()

    def __missing__(self, path: str) -> list[float | None]:
        reals = self.source.numbers(join(self.prefix, path))
        values: list[float | None] = list(reals.values)
        if 0 in reals.presence:
            values = [value if present else None for value, present in zip(values, reals.presence)]
        if (ranges := self.lists.ranges(path)) is not None:
            firsts = [reals.presence.find(1, start, end) for start, end in pairwise(ranges)]
            values = [values[row] if row >= 0 else None for row in firsts]
        self[path] = values
        return values


class CountColumns(_Columns[list[list[int]]]):
    """Sizes of lists by path: of each row, one for each item that the stars of the path stand for."""

    __slots__ = ()

    def __missing__(self, path: str) -> list[list[int]]:
        counts = self.source.counts(join(self.prefix, path))
        ranges = self.lists.ranges(path)
        rows = pairwise(ranges) if ranges is not None else ((row, row + 1) for row in range(len(counts)))
        found = self[path] = [counts[start:end] for start, end in rows]
        return found


class Rows:
    """The events of the batch, or the items of a list in all of them."""

    __slots__ = ("counts", "jsons", "lists", "numbers", "tags", "texts", "values")

    def __init__(self, source: Source, prefix: str = "") -> None:
        self.lists = Lists(source, prefix)
        self.texts = TextColumns(source, prefix, self.lists)
        self.values = Values(self.texts)
        self.jsons = JsonColumns(source, prefix, self.lists)
        self.tags = TagColumns(source, prefix, self.lists)
        self.numbers = NumberColumns(source, prefix, self.lists)
        self.counts = CountColumns(source, prefix, self.lists)
