"""One event of the batch, and the items of its lists."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, overload

from ._columns import Rows, text_at


class Item:
    """One item of a list within an event, such as an exception or a frame; paths are relative to it.

    Every method that takes a path pulls that path's values for the whole batch at its first use. A path that can not be parsed, or that
    the stage was not granted, ends the call: the host applies the stage's failure policy. In tests it raises, with the same message.

    An item belongs to the call in which it was given: keep what you read, never the item.
    """

    __slots__ = ("_row", "_rows", "_texts")

    def __init__(self, rows: Rows, row: int) -> None:
        self._rows = rows
        self._row = row
        # One step less for what plugins do most.
        self._texts = rows.texts

    def text(self, path: str) -> str | None:
        """The string, number or boolean under `path`, as text. Of a path with stars, the first there is."""
        data, starts, ends, present = self._texts[path]
        row = self._row
        if present is None or present[row]:
            return data[starts[row] : ends[row]]
        return None

    def texts(self, path: str) -> list[str | None]:
        """The texts under a path with stars, e.g. `exception.values.*.type`; None where an item has none."""
        column, ranges = self._texts.every(path)
        row = self._row
        rows = range(row, row + 1) if ranges is None else range(ranges[row], ranges[row + 1])
        return [text_at(column, row) for row in rows]

    def number(self, path: str) -> float | None:
        """The number under `path`. A string is none, also if it looks like a number."""
        return self._rows.numbers[path][self._row]

    def flag(self, path: str) -> bool | None:
        """The boolean under `path`."""
        match self.text(path):
            case "true":
                return True
            case "false":
                return False
        return None

    def json(self, path: str) -> Any:
        """Whatever is under `path`, read from JSON. It costs more than the others: all of it is copied and parsed."""
        text = text_at(self._rows.jsons[path], self._row)
        return None if text is None else json.loads(text)

    def count(self, path: str) -> int:
        """The number of elements of the list, or of members of the object, under `path`; 0 where there is neither."""
        return sum(self._rows.counts[path][self._row])

    def counts(self, path: str) -> list[int]:
        """The same for a path with stars: a number for each item."""
        return list(self._rows.counts[path][self._row])

    def items(self, path: str) -> "Items":
        """The items of the list (or the values of the object) under `path`.

        The items of a path with stars, such as `exception.values.*.stacktrace.frames`, follow each other.
        """
        starts, rows = self._rows.lists[path]
        return Items(rows, range(starts[self._row], starts[self._row + 1]))

    def frames(self) -> "Items":
        """The frames of this exception's or thread's stack trace, the outermost call first."""
        return self.items("stacktrace.frames")


class Items(Sequence[Item]):
    """The items of a list. An item is made when it is asked for: of a stack trace, often only the last frame is."""

    __slots__ = ("_range", "_rows")

    def __init__(self, rows: Rows, numbers: range) -> None:
        self._rows = rows
        self._range = numbers

    def __len__(self) -> int:
        return len(self._range)

    def __iter__(self) -> Iterator[Item]:
        for row in self._range:
            yield Item(self._rows, row)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> "Items": ...
    def __getitem__(self, index: int | slice) -> "Item | Items":
        if isinstance(index, slice):
            return Items(self._rows, self._range[index])
        return Item(self._rows, self._range[index])


class Event(Item):
    """One event of the batch.

    There is one object for all of them, which goes on to the next event after each call: never keep it.
    """

    __slots__ = ("_values",)

    def __init__(self, rows: Rows, row: int) -> None:
        super().__init__(rows, row)
        self._values = rows.values

    def text(self, path: str) -> str | None:
        """The string, number or boolean under `path`, as text. Of a path with stars, the first there is."""
        return self._values[path][self._row]

    @property
    def index(self) -> int:
        """The place of this event in the batch."""
        return self._row

    def tag(self, key: str) -> str | None:
        """The tag with that key, whatever is in the key and in whichever form the client sent tags."""
        return text_at(self._rows.tags[key], self._row)

    def exceptions(self) -> Items:
        """The exceptions, in the order of the event: the last one is the one that was raised last."""
        return self.items("exception.values")

    def threads(self) -> Items:
        """The threads."""
        return self.items("threads.values")

    @property
    def user(self) -> "User":
        """Who the event happened to."""
        return User(self)

    @property
    def project_id(self) -> int:
        """The id of the project that the event belongs to."""
        return int(self.number("$meta.project_id") or 0)

    @property
    def received_at(self) -> int:
        """When the host received the event, in milliseconds since 1970-01-01 UTC. A plugin has no other clock."""
        return int(self.number("$meta.received_at") or 0)


class User:
    """Who an event happened to."""

    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        self._event = event

    @property
    def id(self) -> str | None:
        return self._event.text("user.id")

    @property
    def email(self) -> str | None:
        return self._event.text("user.email")

    @property
    def username(self) -> str | None:
        return self._event.text("user.username")

    @property
    def ip_address(self) -> str | None:
        return self._event.text("user.ip_address")
