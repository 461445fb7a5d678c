"""What becomes of an author's mistakes in a component: an exception with its lines, not a backtrace of the interpreter.

Needs componentize-py beside `tamis`; takes most of a minute, since CPython has to be compiled.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "closed"
TAMIS = os.environ.get("TAMIS", "tamis")
REFUSED = "OSError: {}: a plugin has no"
RAISE = {
    "raises": [
        'File "plugin.py", line 75, in filter\n    answer = DO[event.text("do") or ""]()',
        'File "rules.py", line 2, in deep\n    return {"a": "b"}[key]',
        "KeyError: 'no such key'",
    ],
    "chained": ["KeyError: 'é'", "The above exception was the direct cause of", "RuntimeError: while looking"],
    "imports": ["ModuleNotFoundError: csv is not in the component: import it at the top"],
    "recurses": ["more times]", "RecursionError: maximum recursion depth exceeded"],
    "exits": ["SystemExit: 3"],
    "opens": [REFUSED.format("open")],
    "lists": [REFUSED.format("os.listdir")],
    "entropy": [REFUSED.format("os.urandom")],
    "sleeps": [REFUSED.format("time.sleep")],
    "threads": ["RuntimeError: can't start new thread"],
    "wrong": ["TypeError: Closed.filter answered True, expected KEEP or drop(reason)"],
}
ANSWER = {
    "prints": None,
    "imports if it can": "no numpy",
    "exists": "False",
    "random": "True",
    "clock": "True",
    "gmtime": "1970",
    "environment": "{} []",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("closed")
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    manifest = folder / "plugin.toml"
    manifest.write_text(manifest.read_text().replace('"../.."', json.dumps(str(HERE.parents[1]))))
    subprocess.run([TAMIS, "plugin", "build", folder], check=True)

    def run(do: list[str]) -> Any:
        events = json.dumps([{"do": name} for name in do])
        command = [TAMIS, "plugin", "run", str(folder / "target" / "closed.wasm"), "-", "--json"]
        return json.loads(subprocess.run(command, input=events, stdout=subprocess.PIPE, text=True).stdout)

    return run


def test_exceptions_reach_the_log_with_their_lines(run: Any) -> None:
    failures = run(list(RAISE))["failures"]
    assert [failure["reason"] for failure in failures] == ["trap"] * len(RAISE)
    for failure, (name, parts) in zip(failures, RAISE.items()):
        [written] = failure["log"]
        assert written["level"] == "error"
        for part in parts:
            assert part in written["line"], name
        assert "tamis_plugin" not in written["line"], name


def test_what_works(run: Any) -> None:
    report = run(list(ANSWER))
    answers = [answer["answer"] for answer in report["answers"]]
    assert answers == ["keep" if reason is None else {"drop": reason} for reason in ANSWER.values()]
    assert report["log"] == [
        {"level": "info", "line": "to stdout"},
        {"level": "warn", "line": "to stderr"},
        {"level": "warn", "line": "WARNING:root:by logging"},
        {"level": "debug", "line": "by the SDK"},
        {"level": "info", "line": "without an end"},
    ]
