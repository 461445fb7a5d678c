"""What events and items give, on the host's own columns."""

from typing import Any

import pytest

from tamis_plugin import Event, Filter, drop, testing
from tamis_plugin._paths import list_of, quote

EVENTS: list[dict[str, Any]] = [
    {
        "release": "1.0 é",
        "level": "error",
        "flag": True,
        "n": 1.5,
        "user": {"id": "7", "email": "a@b.c"},
        "tags": [["a.b", "x"], ["it's", "y"]],
        "exception": {
            "values": [
                {"type": "A", "stacktrace": {"frames": [{"module": "m1", "lineno": 1}, {"module": "m2"}]}},
                {"value": "é", "stacktrace": {"frames": [{"lineno": 3}]}},
            ]
        },
        "$meta": {"project_id": 42, "received_at": 1700000000000, "environment": "prod"},
        "$trace": {"release": "t1"},
    },
    {"release": "", "user": {"username": "é"}, "n": "2"},
    {"exception": {"values": [{"type": "Ünïcode"}, {"type": "B", "value": "b"}]}, "list": [{"k": 1}, 2]},
]


def seen(read: Any) -> list[Any]:
    """What `read` gives of each event."""
    found = []

    class Reads(Filter):
        def filter(self, event: Event) -> None:
            found.append(read(event))

    assert testing.filter(Reads, EVENTS) == [None] * 3
    return found


@pytest.mark.parametrize(
    ("read", "want"),
    [
        (lambda e: e.text("release"), ["1.0 é", "", None]),
        (lambda e: e.text("n"), ["1.5", "2", None]),
        (lambda e: e.number("n"), [1.5, None, None]),
        (lambda e: e.flag("flag"), [True, None, None]),
        (lambda e: (e.project_id, e.received_at, e.index), [(42, 1700000000000, 0), (1, 0, 1), (1, 0, 2)]),
        (lambda e: e.text("$trace.release"), ["t1", None, None]),
        (lambda e: (e.user.id, e.user.email, e.user.username, e.user.ip_address), [("7", "a@b.c", None, None), (None, None, "é", None), (None,) * 4]),
        (lambda e: (e.tag("a.b"), e.tag("it's")), [("x", "y"), (None, None), (None, None)]),
        (lambda e: e.json("user"), [{"id": "7", "email": "a@b.c"}, {"username": "é"}, None]),
        (lambda e: e.texts("exception.values.*.type"), [["A", None], [], ["Ünïcode", "B"]]),
        (lambda e: e.text("exception.values.*.value"), ["é", None, "b"]),
        (lambda e: e.text("exception.values.*.type"), ["A", None, "Ünïcode"]),
        (lambda e: e.number("exception.values.*.stacktrace.frames.*.lineno"), [1, None, None]),
        (lambda e: e.texts("exception.values.*.stacktrace.frames.*.lineno"), [["1", None, "3"], [], []]),
        (lambda e: (e.count("exception.values"), e.count("user")), [(2, 2), (0, 1), (2, 0)]),
        (lambda e: e.counts("exception.values.*.stacktrace.frames"), [[2, 1], [], [0, 0]]),
        (lambda e: e.count("exception.values.*.stacktrace.frames"), [3, 0, 0]),
        (lambda e: [x.text("type") for x in e.exceptions()], [["A", None], [], ["Ünïcode", "B"]]),
        (
            lambda e: [[f.text("module") for f in x.frames()] for x in reversed(e.exceptions())],
            [[[None], ["m1", "m2"]], [], [[], []]],
        ),
        (lambda e: [f.number("lineno") for f in e.items("exception.values.*.stacktrace.frames")], [[1, None, 3], [], []]),
        (lambda e: [i.text("k") for i in e.items("list")], [[], [], ["1", None]]),
        (lambda e: len(e.threads()), [0, 0, 0]),
        (
            lambda e: [f.text("lineno") for x in e.exceptions()[-1:] for f in [*x.frames()[-2:], *x.frames()[:0]]],
            [["3"], [], []],
        ),
        (lambda e: [x.exceptions()[-1].text("type") for x in [e] if x.exceptions()], [[None], [], ["B"]]),
    ],
)
def test_reading(read: Any, want: list[Any]) -> None:
    assert seen(read) == want


def test_a_bad_path_raises_with_the_message_of_the_host() -> None:
    with pytest.raises(RuntimeError, match="a\\.\\.b"):
        seen(lambda e: e.text("a..b"))


def test_paths() -> None:
    for path, want in [
        ("release", None),
        ("a.*.b", "a"),
        ("a.*.b.*.c.d", "a.*.b"),
        ("tags.*", "tags"),
        ("a.*.*", "a.*"),
        ("tags.'a*b'", None),
        (r"x.*.'it\'s *'", "x"),
    ]:
        assert list_of(path) == want, path
    assert quote("it's \\") == r"'it\'s \\'"


def test_without_tamis_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TAMIS", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match="put it on PATH"):
        seen(lambda e: e.text("release"))


def test_answers_of_a_wrong_type_are_refused() -> None:
    class Wrong(Filter):
        def filter(self, event: Event) -> Any:
            return True

    with pytest.raises(TypeError, match="Wrong.filter answered True"):
        testing.filter(Wrong, [{}])

    class Empty(Filter):
        def filter(self, event: Event) -> Any:
            return drop("")

    with pytest.raises(ValueError, match="1 to 512 bytes"):
        testing.filter(Empty, [{}])
