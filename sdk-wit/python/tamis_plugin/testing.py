"""Runs plugins on your machine, in pytest or unittest, against JSON events and without WebAssembly.

    from tamis_plugin import drop, testing

    def test_noisy_releases_go() -> None:
        events = [{"release": "1.0"}, {"release": "2.0", "$meta": {"project_id": 7}}]
        assert testing.filter(DropNoisy, events, {"releases": ["1.0"]}) == [drop("noisy-release"), None]

An event may have the two keys that golden events have: `$meta` with what the host knows beside it (`project_id`, `category`, `environment`,
`received_at`, ...) and `$trace` with the envelope's trace header. What paths and selectors mean is the host's own code: the program `tamis`, on
`PATH` or in the variable `TAMIS`, extracts the columns. All functions raise where the host would end a call, and `ConfigError` where it would refuse
the configuration.
"""

import hashlib
import hmac
import json
import os
import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ._columns import decode
from ._kinds import Drop, Filter, Fingerprinter, Rate, Sampler, Scrubber
from ._leaves import HASH, MASK, REMOVE, REPLACE, WHOLE
from ._source import LeafList, Reals, Texts


class Scrubbed(NamedTuple):
    """A value that was edited: what is left of it (None if it was removed), and the rules that did it."""

    path: str
    text: str | None
    rules: list[str]


def filter(plugin: type[Filter], events: Sequence[Any], config: Any = None) -> list[Drop | None]:
    """What a filter says of each event: None keeps it."""
    verdicts, reasons = plugin.start(json.dumps(config)).run(_Host(events))
    return [Drop(reasons[verdict - 1]) if verdict else None for verdict in verdicts]


def sample(plugin: type[Sampler], events: Sequence[Any], config: Any = None) -> list[Rate]:
    """The rate that a sampler gives each event."""
    rates, decided_by, rules = plugin.start(json.dumps(config)).run(_Host(events))
    return [Rate(rate, rules[by - 1] if by else None) for rate, by in zip(rates, decided_by)]


def fingerprint(plugin: type[Fingerprinter], events: Sequence[Any], config: Any = None) -> list[list[tuple[str, str]]]:
    """The pairs of kind and fingerprint that a fingerprinter gives each event."""
    return plugin.start(json.dumps(config)).run(_Host(events))


def scrub(plugin: type[Scrubber], events: Sequence[Any], config: Any = None) -> list[list[Scrubbed]]:
    """The values of each event that a scrubber edited."""
    scrubber = plugin.start(json.dumps(config))
    host = _Host(events)
    # All at once: a value that several selectors name is the same one in all of them only within one run of `tamis`.
    host.pull_leaves(scrubber.selectors())
    answer = scrubber.run(host)
    strings = list(answer.numbers)
    edits: dict[int, list[tuple[int, int, int, int, int, int]]] = {}
    for edit in answer.finished():
        edits.setdefault(edit[0], []).append(edit)
    found: list[list[Scrubbed]] = [[] for _ in events]
    for leaf, (event, path, text) in host.texts_of_leaves().items():
        if leaf in edits:
            rules = [strings[edit[5]] for edit in edits[leaf]]
            found[event].append(Scrubbed(path, _edited(text, edits[leaf], strings), rules))
    return found


def _edited(text: str, edits: list[tuple[int, int, int, int, int, int]], strings: list[str]) -> str | None:
    left = text.encode()
    for _, op, start, end, argument, _ in sorted(edits, key=lambda edit: edit[2], reverse=True):
        if op == REMOVE and end == WHOLE:
            return None
        end = min(end, len(left))
        cut, with_ = left[start:end], strings[argument]
        left = left[:start] + _instead(op, cut.decode(), with_).encode() + left[end:]
    return left.decode()


def _instead(op: int, text: str, argument: str) -> str:
    if op == REPLACE:
        return argument
    if op == MASK:
        return argument * len(text)
    if op == HASH:
        return hmac.new(argument.encode(), text.encode(), hashlib.sha1).hexdigest().upper()
    return ""


@dataclass
class _Texts:
    presence: bytes
    offsets: list[int]
    data: bytes


@dataclass
class _Reals:
    presence: bytes
    values: list[float]


@dataclass
class _Leaves:
    events: list[int]
    ids: list[int]
    kinds: bytes
    paths: list[int]
    offsets: list[int]
    data: bytes
    path_offsets: list[int]
    path_data: bytes
    path_keys: list[int]


class _Host:
    """The interface `batch`, by the program `tamis`. The letters are the types of the lists of each answer: bytes, u32 and f64."""

    def __init__(self, events: Sequence[Any]) -> None:
        self._events = json.dumps(list(events))
        self._leaves: dict[str, _Leaves] = {}

    def len(self) -> int:
        [count] = self._pull("len:", "I")[0]
        return int(count)

    def strings(self, path: str) -> Texts:
        return _Texts(*self._pull(f"strings:{path}", "BIB"))

    def joined(self, path: str) -> str | None:
        return None

    def json(self, path: str) -> Texts:
        return _Texts(*self._pull(f"json:{path}", "BIB"))

    def numbers(self, path: str) -> Reals:
        return _Reals(*self._pull(f"numbers:{path}", "Bd"))

    def counts(self, path: str) -> list[int]:
        return list(self._pull(f"counts:{path}", "I")[0])

    def leaves(self, selector: str) -> LeafList:
        if selector not in self._leaves:
            self.pull_leaves([selector])
        return self._leaves[selector]

    def pull_leaves(self, selectors: list[str]) -> None:
        if selectors:
            answers = self._pulls([f"leaves:{selector}" for selector in selectors], "IIBIIBIBI")
            self._leaves.update(zip(selectors, (_Leaves(*answer) for answer in answers)))

    def texts_of_leaves(self) -> dict[int, tuple[int, str, str]]:
        """Event, path and text of all leaves that were pulled."""
        found = {}
        for leaves in self._leaves.values():
            text, starts, ends = decode(leaves.offsets, leaves.data)
            paths, path_starts, path_ends = decode(leaves.path_offsets, leaves.path_data)
            for i, leaf in enumerate(leaves.ids):
                path = leaves.paths[i]
                found[leaf] = (leaves.events[i], paths[path_starts[path] : path_ends[path]], text[starts[i] : ends[i]])
        return dict(sorted(found.items()))

    def _pull(self, pull: str, types: str) -> list[Any]:
        return self._pulls([pull], types)[0]

    def _pulls(self, pulls: list[str], types: str) -> list[list[Any]]:
        command = [_program(), "plugin", "columns", "-", "--raw"]
        for pull in pulls:
            command += ["--pull", pull]
        done = subprocess.run(command, input=self._events.encode(), capture_output=True)
        answers, rest = [], memoryview(done.stdout)
        for pull in pulls:
            if not rest:
                raise RuntimeError(f"tamis did not answer {pull}: {done.stderr.decode().strip()}")
            status, rest = rest[0], rest[1:]
            lists = []
            for kind in "B" if status else types:
                found, rest = _list(kind, rest)
                lists.append(found)
            if status:
                raise RuntimeError(lists[0].decode())
            answers.append(lists)
        return answers


def _list(kind: str, raw: memoryview) -> tuple[Any, memoryview]:
    [count] = struct.unpack_from("<I", raw)
    size = 4 + count * struct.calcsize(kind)
    if kind == "B":
        return bytes(raw[4:size]), raw[size:]
    return list(struct.unpack_from(f"<{count}{kind}", raw, 4)), raw[size:]


def _program() -> str:
    if program := os.environ.get("TAMIS") or shutil.which("tamis"):
        return program
    raise RuntimeError("there is no `tamis` to extract columns with: put it on PATH, or its path in the variable TAMIS")
