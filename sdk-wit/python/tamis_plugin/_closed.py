"""The world of a component: no files, no clock, nothing to import that was not there when it was built.

The stubs that componentize-py puts in the place of WASI trap, with a backtrace of the interpreter's own functions. This puts what says
what is wrong, in the author's language and with the author's line, in front of the ones that plugins reach most.
"""

import builtins
import io
import linecache
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import Any, NoReturn

from . import log

# The folders of the author's modules, as they are called inside.
_folders: set[str] = set()


class _Lines(io.TextIOBase):
    """Standard output or standard error: whole lines go to the host's log."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._pending = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            self._write(line)
        return len(text)

    def finish(self) -> None:
        if self._pending:
            self.write("\n")


_out, _err = _Lines(log.info), _Lines(log.warn)


def flush() -> None:
    """Lets go of an unfinished line: at the end of a call nothing may be kept."""
    _out.finish()
    _err.finish()


def _frame(stack: traceback.StackSummary, frame: traceback.FrameSummary, **kwargs: Any) -> str | None:
    """One frame of a traceback, with the author's files named as in the plugin's folder, and none for the SDK's own.

    It is without marks below the line: to place them the interpreter parses it, and where that fails it looks for a file.
    """
    name = frame.filename
    if os.path.dirname(name) == os.path.dirname(__file__):
        return None
    for folder in _folders:
        name = name.removeprefix(f"{folder}/")
    line = f"    {frame.line}\n" if frame.line else ""
    return f'  File "{name}", line {frame.lineno}, in {frame.name}\n{line}'


def close() -> None:
    """Closes the world. Called when an instance begins: while the component is built, there are files and a real standard error."""
    sys.stdout, sys.stderr = _out, _err
    traceback.StackSummary.format_frame_summary = _frame  # type: ignore[assignment, method-assign]
    linecache.checkcache = lambda filename=None: None
    linecache.updatecache = lambda filename, module_globals=None: []
    sys.meta_path[:] = [BuiltinImporter, FrozenImporter, _Missing]
    for name in ("open", "stat", "lstat", "listdir", "scandir", "mkdir", "remove", "rename", "getcwd"):
        setattr(os, name, _refuse(f"os.{name}: a plugin has no files"))
    builtins.open = io.open = _refuse("open: a plugin has no files; what is read at the top of the module is read when the component is built")
    os.urandom = _refuse("os.urandom: a plugin has no random numbers; derive what must differ from ids in the event")
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, _seconds)
        setattr(time, f"{name}_ns", _nanoseconds)
    for name in ("sleep", "localtime", "gmtime"):
        setattr(time, name, _no_clock(name, getattr(time, name)))


def keep_sources(module: str) -> None:
    """Keeps the lines of the author's files for tracebacks. Called when the component is built; `module` is the plugin's own."""
    top = os.path.dirname(str(sys.modules[module].__file__))
    here = os.path.dirname(__file__)
    for loaded in list(sys.modules.values()):
        file = getattr(loaded, "__file__", None)
        if not file or not file.endswith(".py") or os.path.dirname(file) == here:
            continue
        if file.startswith(top + "/"):
            lines = linecache.getlines(file)
            linecache.cache[file] = (sum(map(len, lines)), None, lines, file)
    _folders.add(top)


def _refuse(message: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise OSError(message)

    return refuse


class _Missing:
    """Finds no module, and says why."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: Any = None) -> NoReturn:
        raise ModuleNotFoundError(
            f"{name} is not in the component: import it at the top of the plugin's module, so that it is there when the component is built",
            name=name,
        )


# As in plugins of other languages: a clock that moves by itself, so that whoever measures with it does not divide by zero.
_now = 1_000_000_000


def _nanoseconds() -> int:
    global _now
    _now += 1_000
    return _now


def _seconds() -> float:
    return _nanoseconds() / 1e9


def _no_clock(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def checked(seconds: float | None = None) -> Any:
        if seconds is None or name == "sleep":
            raise OSError(f"time.{name}: a plugin has no clock but event.received_at")
        return real(seconds)

    return checked
