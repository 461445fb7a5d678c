"""The values that a selector names, in all events of the batch, and what a scrubber wants changed in them."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Literal

from ._columns import Rows, decode
from ._event import Event
from ._source import LeafList

Kind = Literal["string", "number", "boolean", "object", "array"]
KINDS: tuple[Kind, ...] = ("string", "number", "boolean", "object", "array")

REMOVE, REPLACE, MASK, HASH = range(4)
# The end of a range that stands for the whole value.
WHOLE = 0xFFFF_FFFF
NAME_BYTES_MAX = 512


def name(text: str, what: str) -> str:
    """A reason or rule, checked."""
    if not isinstance(text, str):
        raise TypeError(f"{what} must be a string, not {text!r}")
    if not 1 <= len(text.encode()) <= NAME_BYTES_MAX:
        raise ValueError(f"{what} must have 1 to {NAME_BYTES_MAX} bytes: {text!r}")
    return text


class Edits:
    """The answer for a batch."""

    __slots__ = ("edits", "numbers")

    def __init__(self) -> None:
        # (leaf, op, start, end, text, rule), the last two as numbers of strings.
        self.edits: list[tuple[int, int, int, int, int, int]] = []
        self.numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))

    def finished(self) -> list[tuple[int, int, int, int, int, int]]:
        """Where edits of a leaf overlap, the earlier one is stretched over both: what any of them covers does not survive."""
        # Leaves come in ascending order, so one look tells that none was edited twice.
        if all(a[0] < b[0] for a, b in zip(self.edits, self.edits[1:])):
            return self.edits
        edits = self.edits
        # (the edit that stays, start, end)
        merged: list[tuple[int, int, int]] = []
        for i in sorted(range(len(edits)), key=lambda i: (edits[i][0], edits[i][2], i)):
            leaf, _, start, end, _, _ = edits[i]
            if merged:
                kept, from_, to = merged[-1]
                if edits[kept][0] == leaf and _overlap((from_, to), (start, end)):
                    merged[-1] = (min(kept, i), min(from_, start), max(to, end))
                    continue
            merged.append((i, start, end))
        return [(edits[i][0], edits[i][1], start, end, *edits[i][4:]) for i, start, end in merged]


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a == b or WHOLE in (a[1], b[1]) or b[0] < a[1]


class Leaf:
    """One value that a selector names.

    There is one object for all of them, which goes on to the next value after each call: never keep it.

    Edits name the rule that asks for them, as the event's `_meta` will show it: `@email:replace`. Without `start` and `end`, which are
    indices into `text` as in `text[start:end]`, they are of the whole value; of a leaf that is no string only that can be edited. Where
    edits of a leaf overlap, the earlier one is stretched over both.
    """

    __slots__ = ("_edits", "_event", "_id", "_leaves", "kind", "path", "path_key", "selector", "text")

    _id: int
    _event: int
    kind: Kind
    path: str
    "Its path, with `*` for elements of arrays."
    path_key: int
    "A number for the path, the same in every batch: what is decided by path is decided once if it is kept under this."
    text: str
    "A string without quotes and escapes, a number or boolean as in JSON, nothing for an object or array."
    selector: int
    "The index, in `selectors()`, of the selector that named it."

    def __init__(self, leaves: "Leaves", edits: Edits) -> None:
        self._leaves = leaves
        self._edits = edits
        self.selector = leaves.selector

    @property
    def event(self) -> Event:
        """The event that it is of."""
        return self._leaves.event(self._event)

    def remove(self, rule: str, start: int = 0, end: int | None = None) -> None:
        """Takes the range out. Of a whole value, null stays."""
        self._edit(REMOVE, "", rule, start, end)

    def replace(self, text: str, rule: str, start: int = 0, end: int | None = None) -> None:
        """Puts `text` in the place of the range."""
        self._edit(REPLACE, text, rule, start, end)

    def mask(self, character: str, rule: str, start: int = 0, end: int | None = None) -> None:
        """Puts `character` in the place of each character of the range."""
        if len(character) != 1:
            raise ValueError(f"a mask must be one character: {character!r}")
        self._edit(MASK, character, rule, start, end)

    def hash(self, key: str, rule: str, start: int = 0, end: int | None = None) -> None:
        """Puts the HMAC-SHA1 of the range under `key` in its place, as 40 upper-case hexadecimal digits."""
        self._edit(HASH, key, rule, start, end)

    def _edit(self, op: int, text: str, rule: str, start: int, end: int | None) -> None:
        edits = self._edits
        if start == 0 and end is None:
            first, last = 0, WHOLE
        elif self.kind != "string":
            raise ValueError(f"{self.path} is of kind {self.kind}: it can only be edited as a whole")
        else:
            first, last, _ = slice(start, end).indices(len(self.text))
            last = max(first, last)
            if not self.text.isascii():
                first, last = len(self.text[:first].encode()), len(self.text[:last].encode())
        edits.edits.append((self._id, op, first, last, edits.number(text), edits.number(name(rule, "a rule"))))


class Leaves:
    """All leaves of one selector, of all events of the batch, ordered by event and then by place in the event."""

    __slots__ = ("_edits", "_ends", "_event", "_list", "_paths", "_starts", "data", "selector")

    def __init__(self, selector: int, leaves: LeafList, rows: Rows, edits: Edits) -> None:
        self.selector = selector
        "The index, in `selectors()`, of the selector that these leaves are of."
        self._list = leaves
        self._edits = edits
        self._event = Event(rows, 0)
        self.data, self._starts, self._ends = decode(leaves.offsets, leaves.data)
        "The text of all leaves in one piece, without anything between them: what one pass can search at full speed."
        paths, starts, ends = decode(leaves.path_offsets, leaves.path_data)
        self._paths = [paths[start:end] for start, end in zip(starts, ends)]

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[Leaf]:
        leaf = Leaf(self, self._edits)
        for index in range(len(self)):
            self._fill(leaf, index)
            yield leaf

    def __getitem__(self, index: int) -> Leaf:
        leaf = Leaf(self, self._edits)
        self._fill(leaf, range(len(self))[index])
        return leaf

    def _fill(self, leaf: Leaf, index: int) -> None:
        found = self._list
        path = found.paths[index]
        leaf._id = found.ids[index]
        leaf._event = found.events[index]
        leaf.kind = KINDS[found.kinds[index]]
        leaf.path = self._paths[path]
        leaf.path_key = found.path_keys[path]
        leaf.text = self.data[self._starts[index] : self._ends[index]]

    def leaf_at(self, at: int) -> int:
        """Which leaf the character `at` of `data` belongs to. A match in `data` may reach over the end of a leaf: see `span`."""
        return bisect_right(self._starts, at) - 1

    def span(self, index: int) -> tuple[int, int]:
        """Where a leaf is in `data`."""
        return self._starts[index], self._ends[index]

    def event(self, index: int) -> Event:
        """The event at that place in the batch. There is one object for all of them."""
        self._event._row = index
        return self._event
