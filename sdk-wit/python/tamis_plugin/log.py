"""The host's log. Lines carry the stage and its generation, are cut at 4 KiB, and limited in number.

`print` is information, and what is written to `sys.stderr` is a warning. In a test all of it goes to standard error.
"""

import sys

LEVELS = ("error", "warn", "info", "debug")


def error(message: str) -> None:
    """Something failed that an operator should look at."""
    _write(0, message)


def warn(message: str) -> None:
    """Something is odd, and goes on."""
    _write(1, message)


def info(message: str) -> None:
    """Something worth knowing, once in a while."""
    _write(2, message)


def debug(message: str) -> None:
    """Something for the author."""
    _write(3, message)


if sys.platform == "wasi":
    from wit_world.imports import log as _host

    def _write(level: int, message: str) -> None:
        _host.log(_host.Level(level), str(message))

else:

    def _write(level: int, message: str) -> None:
        print(f"{LEVELS[level]}: {message}", file=sys.stderr)
