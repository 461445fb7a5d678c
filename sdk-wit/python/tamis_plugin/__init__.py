"""Write plugins for Tamis in Python: a class, one method, and a dataclass for the configuration.

    from dataclasses import dataclass
    from tamis_plugin import Drop, Event, Filter, drop

    @dataclass
    class Config:
        releases: list[str]

    class DropNoisy(Filter):
        config: Config

        def filter(self, event: Event) -> Drop | None:
            if event.text("release") in self.config.releases:
                return drop("noisy-release")
            return None

There is one base class for each kind of plugin: `Filter`, `Sampler`, `Scrubber` and `Fingerprinter`. Deriving a class from one of
them is all it takes: the file that does it is the plugin. `tamis_plugin.testing` runs it on your machine.
"""

from . import log
from ._config import ConfigError
from ._event import Event, Item, Items, User
from ._hash import hash_of
from ._kinds import KEEP, Drop, Filter, Fingerprinter, Fingerprints, Rate, Sampler, Scrubber, drop
from ._leaves import Leaf, Leaves

__all__ = [
    "KEEP",
    "ConfigError",
    "Drop",
    "Event",
    "Filter",
    "Fingerprinter",
    "Fingerprints",
    "Item",
    "Items",
    "Leaf",
    "Leaves",
    "Rate",
    "Sampler",
    "Scrubber",
    "User",
    "drop",
    "hash_of",
    "log",
]
