"""Configuration: typed, and refused with the path of what is wrong."""

import enum
import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from tamis_plugin import ConfigError, Event, Filter
from tamis_plugin._config import parse


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Rule:
    id: str
    rate: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise ConfigError(f"rate: {self.rate} is not from 0 to 1")
        if self.id == "bad":
            raise ValueError("no such id")


@dataclass
class Config:
    rules: list[Rule] = field(default_factory=list)
    projects: dict[int, Rule] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    pair: tuple[int, str] = (0, "")
    colour: Colour | None = None
    level: Literal["error", "warning"] = "error"
    either: int | str = 0
    on: bool = False
    anything: Any = None


def test_good() -> None:
    config = parse(
        Config,
        json.dumps(
            {
                "rules": [{"id": "a", "rate": 1}],
                "projects": {"42": {"id": "b"}},
                "names": ["x"],
                "pair": [1, "y"],
                "colour": "red",
                "level": "warning",
                "either": "z",
                "on": True,
                "anything": [{}],
            }
        ),
    )
    assert config == Config([Rule("a", 1.0)], {42: Rule("b")}, {"x"}, (1, "y"), Colour.RED, "warning", "z", True, [{}])
    assert type(config.rules[0].rate) is float
    for nothing in ("", " ", "null", "{}"):
        assert parse(Config, nothing) == Config()


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('{"rules":[{"id":"a"},{"id":1}]}', "rules[1].id: 1, expected a string"),
        ('{"rules":[{"rate":1}]}', "rules[0]: missing key `id`"),
        ('{"rules":[{"id":"a","rat":1}]}', "rules[0].rat: unknown key, expected one of `id`, `rate`"),
        ('{"rules":[{"id":"a","rate":"high"}]}', 'rules[0].rate: string "high", expected a number'),
        ('{"rules":[{"id":"a","rate":true}]}', "rules[0].rate: true, expected a number"),
        ('{"rules":[{"id":"a","rate":2}]}', "rules[0].rate: 2.0 is not from 0 to 1"),
        ('{"rules":[{"id":"bad"}]}', "rules[0]: no such id"),
        ('{"rules":{}}', "rules: an object, expected a list"),
        ('{"projects":{"x":{"id":"a"}}}', 'projects.x: string "x", expected an integer'),
        ('{"projects":{"42":{"id":null}}}', "projects.42.id: null, expected a string"),
        ('{"pair":[1]}', "pair: 1 elements, expected 2"),
        ('{"pair":[1.5,""]}', "pair[0]: 1.5, expected an integer"),
        ('{"colour":"blue"}', 'colour: string "blue", expected one of `red`'),
        ('{"level":"info"}', 'level: string "info", expected one of `error`, `warning`'),
        ('{"either":[]}', "either: a list, expected int or str"),
        ('{"on":"yes"}', 'on: string "yes", expected true or false'),
        ('{"what":1}', "what: unknown key, expected one of `rules`, "),
        ("[1]", "a list, expected an object"),
        ("{} x", "it is not JSON: Extra data"),
    ],
)
def test_errors_begin_with_the_path(text: str, want: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(Config, text)
    assert str(error.value).startswith(want)


def test_plugins() -> None:
    class Without(Filter):
        def filter(self, event: Event) -> None:
            return None

    Without.start("{}")
    with pytest.raises(ConfigError, match="^rate: this plugin has no configuration"):
        Without.start('{"rate":1}')

    class With(Filter):
        config: Config

        def init(self) -> None:
            if not self.config.rules:
                raise ConfigError("rules: at least one")

        def filter(self, event: Event) -> None:
            return None

    assert With.start('{"rules":[{"id":"a"}]}').config.rules == [Rule("a")]
    with pytest.raises(ConfigError, match="^rules: at least one"):
        With.start("{}")
