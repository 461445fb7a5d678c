"""What the kinds of plugins answer."""

import hashlib
import hmac
from typing import Any

import pytest

from tamis_plugin import KEEP, Event, Fingerprinter, Fingerprints, Leaf, Leaves, Rate, Sampler, Scrubber, hash_of, testing
from tamis_plugin._leaves import WHOLE, Edits


def test_rates_are_brought_to_their_bounds() -> None:
    answers: list[Rate | None] = [KEEP, Rate(0.5, "half"), Rate(-1), Rate(7, "half"), Rate(float("nan"))]

    class Rates(Sampler):
        def sample(self, event: Event) -> Rate | None:
            return answers[event.index]

    assert testing.sample(Rates, [{}] * 5) == [Rate(1.0), Rate(0.5, "half"), Rate(0.0), Rate(1.0, "half"), Rate(1.0)]


def test_fingerprints() -> None:
    class Types(Fingerprinter):
        def fingerprint(self, event: Event, out: Fingerprints) -> None:
            for exception in event.exceptions():
                out.push("app", hash_of(exception.text("type")))

    events = [{"exception": {"values": [{"type": "A"}, {}]}}, {}]
    assert testing.fingerprint(Types, events) == [[("app", hash_of("A")), ("app", hash_of(""))], []]
    assert hash_of("a", "bc") != hash_of("ab", "c") == hashlib.md5(b"ab\0c\0").hexdigest()
    out = Fingerprints()
    for bad in ("", "é" * 33):
        with pytest.raises(ValueError, match="1 to 64 bytes"):
            out.push("app", bad)


class Marks(Scrubber):
    """Edits everything between brackets, as the first character in them says."""

    def selectors(self) -> list[str]:
        return ["message", "n && $number", "**"]

    def scrub(self, leaf: Leaf) -> None:
        if leaf.selector == 1:
            return leaf.remove("@number")
        start, end = leaf.text.find("["), leaf.text.rfind("]")
        if leaf.selector != 0 or start < 0:
            return
        match leaf.text[start + 1]:
            case "r":
                leaf.replace("ü", "@replace", start, end + 1)
            case "m":
                leaf.mask("#", "@mask", start, end + 1)
            case "h":
                leaf.hash("key", "@hash", start)
            case "x":
                leaf.remove("@remove", start, end + 1)
            case _:
                leaf.replace(f"{leaf.path} {leaf.kind} {leaf.event.text('n')}", "@all")


def test_edits() -> None:
    events = [
        {"message": "é [ré] é", "n": 1},
        {"message": "é [mé] é"},
        {"message": "é"},
        {"message": "é [h é] é"},
        {"message": "[x]"},
        {"message": "[y]", "n": 2.5},
        {"message": "z"},
    ]
    hashed = hmac.new(b"key", "[h é] é".encode(), hashlib.sha1).hexdigest().upper()
    assert testing.scrub(Marks, events) == [
        [("message", "é ü é", ["@replace"]), ("n", None, ["@number"])],
        [("message", "é #### é", ["@mask"])],
        [],
        [("message", f"é {hashed}", ["@hash"])],
        [("message", "", ["@remove"])],
        [("message", "message string 2.5", ["@all"]), ("n", None, ["@number"])],
        [],
    ]


def test_only_strings_have_ranges() -> None:
    class Part(Scrubber):
        def selectors(self) -> list[str]:
            return ["$number"]

        def scrub(self, leaf: Leaf) -> None:
            leaf.remove("@part", 0, 1)

    with pytest.raises(ValueError, match="n is of kind number"):
        testing.scrub(Part, [{"n": 12}])


def test_one_pass() -> None:
    class All(Scrubber):
        def selectors(self) -> list[str]:
            return ["**"]

        def scrub(self, leaf: Leaf) -> None:
            raise AssertionError("scrub_all does not call it")

        def scrub_all(self, leaves: Leaves) -> None:
            at = leaves.data.find("secret")
            while at >= 0:
                index = leaves.leaf_at(at)
                start, _ = leaves.span(index)
                leaves[index].replace("-", "@secret", at - start, at - start + 6)
                at = leaves.data.find("secret", at + 6)

    events: list[dict[str, Any]] = [{"a": "é secret", "b": "x"}, {"b": ["secret", "secret é secret"]}]
    assert testing.scrub(All, events) == [
        [("a", "é -", ["@secret"])],
        [("b.*", "-", ["@secret"]), ("b.*", "- é -", ["@secret", "@secret"])],
    ]


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ([(1, 0, 2), (1, 4, 6), (2, 0, 1)], [(1, 0, 2, 0), (1, 4, 6, 1), (2, 0, 1, 2)]),
        ([(1, 0, 2), (1, 2, 4)], [(1, 0, 2, 0), (1, 2, 4, 1)]),
        ([(1, 3, 8), (1, 0, 5)], [(1, 0, 8, 0)]),
        ([(1, 0, 5), (1, 3, 8), (1, 7, 9)], [(1, 0, 9, 0)]),
        ([(1, 3, 5), (1, 0, WHOLE)], [(1, 0, WHOLE, 0)]),
        ([(1, 0, WHOLE), (1, 0, WHOLE)], [(1, 0, WHOLE, 0)]),
        ([(2, 0, 1), (1, 0, 1)], [(1, 0, 1, 1), (2, 0, 1, 0)]),
    ],
)
def test_overlaps(given: list[tuple[int, int, int]], want: list[tuple[int, int, int, int]]) -> None:
    edits = Edits()
    edits.edits = [(leaf, 0, start, end, 0, rule) for rule, (leaf, start, end) in enumerate(given)]
    assert [(leaf, start, end, rule) for leaf, _, start, end, _, rule in edits.finished()] == want
