"""Where columns come from: over the interface in a component, from the `tamis` program in a test."""

from typing import Protocol


class Texts(Protocol):
    """Texts, one per row, as in the WIT. These protocols have what the generated bindings have, which exist in a component only."""

    presence: bytes
    offsets: list[int]
    data: bytes


class Reals(Protocol):
    """Numbers, one per row."""

    presence: bytes
    values: list[float]


class LeafList(Protocol):
    """The values that a selector names."""

    events: list[int]
    ids: list[int]
    kinds: bytes
    paths: list[int]
    offsets: list[int]
    data: bytes
    path_offsets: list[int]
    path_data: bytes
    path_keys: list[int]


class Source(Protocol):
    """The interface `batch`. In a component the generated module itself is one."""

    def len(self) -> int: ...
    def strings(self, path: str) -> Texts: ...
    def joined(self, path: str) -> str | None: ...
    def numbers(self, path: str) -> Reals: ...
    def json(self, path: str) -> Texts: ...
    def counts(self, path: str) -> list[int]: ...
    def leaves(self, selector: str) -> LeafList: ...
