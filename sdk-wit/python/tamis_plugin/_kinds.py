"""The kinds of plugins: what an author derives from, and how a whole batch is asked."""

import sys
import typing
from abc import abstractmethod
from typing import Any, NamedTuple

from . import _config
from ._columns import Rows
from ._event import Event
from ._leaves import Edits, Leaf, Leaves, name
from ._source import Source

FINGERPRINT_BYTES_MAX = 64
FINGERPRINTS_MAX = 64


class Drop(NamedTuple):
    """The event ends here. Made by `drop`."""

    reason: str


class Rate(NamedTuple):
    """The event is kept at this rate, and `rule` is what decided it, as the outcome will name it.

    What is below 0 or above 1 is brought to the nearer end. The host draws, from the trace id (the event id where there is none), so that
    a trace is kept or dropped as a whole on every machine.
    """

    rate: float
    rule: str | None = None


KEEP: None = None
"""The event goes on, at the rate 1. A method that ends without `return` says the same."""


def drop(reason: str) -> Drop:
    """The event ends here for this reason, a short key such as `web-crawlers`; it stands in its outcome."""
    return Drop(reason)


class Plugin:
    """What the kinds have in common. `self` lives as long as the instance, over many batches."""

    def init(self) -> None:
        """Called once, when `self.config` is there. A `ConfigError` refuses the configuration and is shown to the operator."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if sys.platform == "wasi" and cls.__module__ != __name__:
            from . import _component

            _component.export(cls)

    @classmethod
    def start(cls, config: str) -> typing.Self:
        """Makes an instance from its JSON configuration, as the host does."""
        plugin = cls()
        if (kind := typing.get_type_hints(cls, include_extras=True).get("config")) is None:
            _config.empty(config)
        else:
            setattr(plugin, "config", _config.parse(kind, config))
        plugin.init()
        return plugin


class Filter(Plugin):
    """A plugin that decides which events are kept."""

    @abstractmethod
    def filter(self, event: Event) -> Drop | None:
        """Decides about one event: `KEEP`, or `drop("reason")`."""
        raise NotImplementedError

    def run(self, source: Source) -> tuple[list[int], list[str]]:
        """Verdicts and reasons, as the WIT has them."""
        event = Event(Rows(source), 0)
        decide = self.filter
        verdicts = [0] * source.len()
        reasons: dict[str, int] = {}
        for row in range(len(verdicts)):
            event._row = row
            verdict = decide(event)
            if verdict is not None:
                verdicts[row] = _reason(self, verdict, reasons)
        return verdicts, list(reasons)


def _reason(plugin: Filter, verdict: Any, reasons: dict[str, int]) -> int:
    if type(verdict) is not Drop:
        raise TypeError(f"{type(plugin).__name__}.filter answered {verdict!r}, expected KEEP or drop(reason)")
    known = reasons.get(verdict.reason)
    if known is None:
        known = reasons[name(verdict.reason, "the reason of a drop")] = len(reasons) + 1
    return known


class Sampler(Plugin):
    """A plugin that says at which rate events are kept."""

    @abstractmethod
    def sample(self, event: Event) -> Rate | None:
        """Gives the rate of one event: `KEEP`, or `Rate(0.1, "rule")`."""
        raise NotImplementedError

    def run(self, source: Source) -> tuple[list[float], list[int], list[str]]:
        """Rates, what decided them, and rules, as the WIT has them."""
        event = Event(Rows(source), 0)
        decide = self.sample
        count = source.len()
        rates, decided_by = [1.0] * count, [0] * count
        rules: dict[str, int] = {}
        for row in range(count):
            event._row = row
            answer = decide(event)
            if answer is not None:
                rates[row], decided_by[row] = _rate(self, answer, rules)
        return rates, decided_by, list(rules)


def _rate(plugin: Sampler, answer: Any, rules: dict[str, int]) -> tuple[float, int]:
    if type(answer) is not Rate:
        raise TypeError(f"{type(plugin).__name__}.sample answered {answer!r}, expected KEEP or Rate(rate, rule)")
    rate, rule = answer
    # What is no number compares as false, and keeps all.
    bounded = 0.0 if rate < 0 else float(rate) if rate < 1 else 1.0
    if rule is None:
        return bounded, 0
    known = rules.get(rule)
    if known is None:
        known = rules[name(rule, "the rule of a rate")] = len(rules) + 1
    return bounded, known


class Scrubber(Plugin):
    """A plugin that takes out of events what must not be kept."""

    @abstractmethod
    def selectors(self) -> list[str]:
        """Which values this plugin wants to see; `**` is every string.

        The host is asked for them once after `init`, so that a selector that it does not take refuses the configuration.
        """
        raise NotImplementedError

    @abstractmethod
    def scrub(self, leaf: Leaf) -> None:
        """Looks at one value. One that several selectors name comes once for each."""
        raise NotImplementedError

    def scrub_all(self, leaves: Leaves) -> None:
        """Looks at all values of one selector and of the whole batch; by default one after the other.

        For plugins that are faster in one pass over `leaves.data`.
        """
        for leaf in leaves:
            self.scrub(leaf)

    def run(self, source: Source) -> Edits:
        edits = Edits()
        rows = Rows(source)
        for index, selector in enumerate(self.selectors()):
            self.scrub_all(Leaves(index, source.leaves(selector), rows, edits))
        return edits


class Fingerprints:
    """Where the fingerprints of an event go, the one that decides its group first. None is no opinion."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: list[tuple[str, str]] = []

    def push(self, kind: str, fingerprint: str) -> None:
        """Adds a fingerprint of 1 to 64 bytes, of a kind such as `app` or `system`. An event can have 64."""
        if not 1 <= len(fingerprint.encode()) <= FINGERPRINT_BYTES_MAX:
            raise ValueError(f"a fingerprint must have 1 to {FINGERPRINT_BYTES_MAX} bytes: {fingerprint!r}")
        if len(self._found) == FINGERPRINTS_MAX:
            raise ValueError(f"an event can have {FINGERPRINTS_MAX} fingerprints")
        self._found.append((name(kind, "the kind of a fingerprint"), fingerprint))


class Fingerprinter(Plugin):
    """A plugin that says which events are the same."""

    @abstractmethod
    def fingerprint(self, event: Event, out: Fingerprints) -> None:
        """Gives the fingerprints of one event. None is no opinion and leaves the event to the next stage."""
        raise NotImplementedError

    def run(self, source: Source) -> list[list[tuple[str, str]]]:
        """For each event its pairs of kind and fingerprint."""
        event = Event(Rows(source), 0)
        found = []
        for row in range(source.len()):
            event._row = row
            out = Fingerprints()
            self.fingerprint(event, out)
            found.append(out._found)
        return found
