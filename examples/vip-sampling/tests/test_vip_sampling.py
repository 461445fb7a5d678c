"""The sampler on this machine, over the host's own columns."""

from typing import Any

import pytest
from tamis_plugin import ConfigError, Rate, testing

from plugin import VipSampling

VIPS = {"user_ids": ["7"], "email_domains": ["Big.example"], "tags": {"plan": ["enterprise", "gold"]}}
VIP = Rate(1.0, "vip")
LOW = Rate(0.1, "otherwise")


@pytest.mark.parametrize(
    ("event", "want"),
    [
        ({"user": {"id": "7"}}, VIP),
        ({"user": {"id": 7}}, VIP),
        ({"user": {"id": "77"}}, LOW),
        ({"user": {"email": "jane@big.EXAMPLE"}}, VIP),
        ({"user": {"email": "jane@mail.big.example"}}, VIP),
        ({"user": {"email": "big.example@other.example"}}, LOW),
        ({"user": {"email": "jane@verybig.example"}}, LOW),
        ({"user": {"email": "big.example"}}, LOW),
        ({"tags": {"plan": "gold"}}, VIP),
        ({"tags": [["plan", "enterprise"]]}, VIP),
        ({"tags": {"plan": "free"}}, LOW),
        ({}, LOW),
    ],
)
def test_vips(event: dict[str, Any], want: Rate) -> None:
    assert testing.sample(VipSampling, [event], {"vips": VIPS, "otherwise": 0.1}) == [want]


def test_the_first_rule_that_matches_decides() -> None:
    config = {
        "rules": [
            {"rate": 0, "transaction": "/health", "name": "health"},
            {"rate": 0.5, "transaction": "/api/", "projects": [1, 2]},
            {"rate": 0.2, "projects": [3]},
        ]
    }
    events = [
        {"transaction": "/health/live"},
        {"transaction": "/api/users", "$meta": {"project_id": 2}},
        {"transaction": "/api/users", "$meta": {"project_id": 3}},
        {"transaction": "/api/users", "$meta": {"project_id": 4}},
        # All of a trace has the rate of its root.
        {"transaction": "/api/users", "$trace": {"transaction": "/health"}, "$meta": {"project_id": 2}},
    ]
    want = [Rate(0.0, "health"), Rate(0.5, "/api/"), Rate(0.2, "rules[2]"), Rate(1.0), Rate(0.0, "health")]
    assert testing.sample(VipSampling, events, config) == want


@pytest.mark.parametrize(
    ("config", "want"),
    [
        ({"rules": [{"rate": 1}, {"rate": 7}]}, "rules[1].rate: 7.0 is not from 0 to 1"),
        ({"rules": [{"transaction": "/"}]}, "rules[0]: missing key `rate`"),
        ({"otherwise": -1}, "otherwise: -1.0 is not from 0 to 1"),
        ({"vips": {"email_domains": ["a@b.c"]}}, "vips.email_domains: `a@b.c` is not a domain"),
        ({"vips": {"user_ids": [7]}}, "vips.user_ids[0]: 7, expected a string"),
        ({"vip": {}}, "vip: unknown key, expected one of `vips`, `rules`, `otherwise`"),
    ],
)
def test_mistakes_are_named(config: Any, want: str) -> None:
    with pytest.raises(ConfigError) as error:
        testing.sample(VipSampling, [{}], config)
    assert str(error.value) == want
