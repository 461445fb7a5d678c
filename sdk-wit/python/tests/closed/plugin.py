"""Does what `do` says, to see what becomes of it in a component."""

import logging
import os
import random
import sys
import threading
import time
from typing import Any

import rules
from tamis_plugin import Event, Filter, drop, log

AT_BUILD = random.random()


def prints() -> None:
    print("to", "stdout")
    print("to stderr", file=sys.stderr)
    logging.warning("by %s", "logging")
    log.debug("by the SDK")
    print("without an end", end="")


def chained() -> None:
    try:
        rules.deep("é")
    except KeyError as error:
        raise RuntimeError("while looking") from error


def imports() -> None:
    import csv

    csv.reader([])


def imports_if_it_can() -> str:
    try:
        import numpy  # type: ignore[import-not-found]

        return str(numpy)
    except ImportError:
        return "no numpy"


def recurses() -> None:
    recurses()


DO: dict[str, Any] = {
    "prints": prints,
    "raises": lambda: rules.deep("no such key"),
    "chained": chained,
    "imports": imports,
    "imports if it can": imports_if_it_can,
    "recurses": recurses,
    "exits": lambda: sys.exit(3),
    "opens": lambda: open("/etc/hosts"),
    "lists": lambda: os.listdir("/"),
    "exists": lambda: str(os.path.exists("/")),
    "entropy": lambda: os.urandom(8),
    "random": lambda: str(random.random() != AT_BUILD),
    "sleeps": lambda: time.sleep(1),
    "clock": lambda: str(0 < time.time() < time.time() < 1e6),
    "gmtime": lambda: time.strftime("%Y", time.gmtime(0)),
    "threads": lambda: threading.Thread(target=print).start(),
    "environment": lambda: f"{dict(os.environ)} {sys.argv}",
    "wrong": lambda: True,
}


class Closed(Filter):
    def filter(self, event: Event) -> Any:
        answer = DO[event.text("do") or ""]()
        return drop(answer) if isinstance(answer, str) else answer
