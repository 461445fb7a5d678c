"""What exists in a component only: the exports, and how an exception ends a call.

componentize-py runs the plugin's module when the component is *built*, and keeps the memory that is then there. It looks up the class that the world
exports (`Filtering` for a filter) in that module, and makes an instance of it for each function of the interface. So what is kept between
calls is kept here.
"""

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from componentize_py_types import Err
from wit_world.imports import batch

from . import _closed, log
from ._config import ConfigError
from ._kinds import Filter, Fingerprinter, Plugin, Sampler, Scrubber

_plugin: Any = None
_HERE = os.path.dirname(__file__)


def export(cls: type[Plugin]) -> None:
    """Puts what componentize-py looks for into the module that defines the plugin."""
    module = sys.modules[cls.__module__]
    if (other := getattr(module, "_tamis_plugin", None)) is not None:
        raise TypeError(f"a component is one plugin, and {cls.__module__} defines two: {other.__name__} and {cls.__name__}")
    setattr(module, "_tamis_plugin", cls)
    for kind, interface, function, answer in _EXPORTS:
        setattr(module, interface, _exported(cls, kind, function, answer))


def _exported(cls: type[Plugin], kind: type[Plugin], function: str, answer: Callable[[Any], Any]) -> type:
    def at_build(self: Any) -> None:
        if not issubclass(cls, kind):
            raise TypeError(f"plugin.toml says that this is a {kind.__name__.lower()}, and {cls.__name__} is none")
        _closed.keep_sources(cls.__module__)

    def init(self: Any, config: str) -> None:
        global _plugin
        _closed.close()
        try:
            plugin = cls.start(config)
            if isinstance(plugin, Scrubber):
                for selector in plugin.selectors():
                    batch.leaves(selector)
        except ConfigError as error:
            raise Err(str(error)) from None
        except BaseException as error:
            _fail(error)
        _plugin = plugin
        _closed.flush()

    def call(self: Any) -> Any:
        try:
            found = answer(_plugin.run(batch))
        except BaseException as error:
            _fail(error)
        _closed.flush()
        return found

    return type(kind.__name__, (), {"__init__": at_build, "init": init, function: call})


def _fail(error: BaseException) -> NoReturn:
    """Ends the call: the traceback goes to the host's log, and then the instance traps."""
    _closed.flush()
    trace = error.__traceback__
    # The author's code is what counts, not the way to it.
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    log.error("".join(traceback.format_exception(error.with_traceback(trace))).rstrip())
    os.abort()


def _verdicts(found: tuple[list[int], list[str]]) -> Any:
    from wit_world.exports.filtering import Verdicts

    return Verdicts(*found)


def _rates(found: tuple[list[float], list[int], list[str]]) -> Any:
    from wit_world.exports.sampling import Rates

    return Rates(*found)


def _edits(found: Any) -> Any:
    from wit_world.exports.scrubbing import Edits

    edits = found.finished()
    leaf, op, start, end, text, rule = zip(*edits) if edits else [()] * 6
    return Edits(list(leaf), bytes(op), list(start), list(end), list(text), list(rule), list(found.numbers))


def _fingerprints(found: list[list[tuple[str, str]]]) -> Any:
    from wit_world.exports.fingerprinting import Fingerprints

    kinds: dict[str, int] = {}
    kind, offsets, data = [], [0], bytearray()
    for name, fingerprint in (pair for pairs in found for pair in pairs):
        kind.append(kinds.setdefault(name, len(kinds)))
        data += fingerprint.encode()
        offsets.append(len(data))
    return Fingerprints([len(pairs) for pairs in found], kind, offsets, bytes(data), list(kinds))


_EXPORTS: tuple[tuple[type[Plugin], str, str, Callable[[Any], Any]], ...] = (
    (Filter, "Filtering", "filter", _verdicts),
    (Sampler, "Sampling", "sample", _rates),
    (Scrubber, "Scrubbing", "scrub", _edits),
    (Fingerprinter, "Fingerprinting", "fingerprint", _fingerprints),
)
