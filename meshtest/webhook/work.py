"""What is started for a run: a command of words and variables; no shell, and nothing of a payload but in variables.

MESHTEST_PARAM_NAME for each parameter (fixture `params`), MESHTEST_CANARY, _NAMESPACE, _CHECKSUM, _PHASE. The working
folder is the run's own; all that it writes of itself lies there. Not here: what its end means (verdicts.py).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from meshtest.lib.dataclass import dataclass
from meshtest.webhook.runs import StoredRun
from meshtest.webhook.suites import Suite

JUNIT, SUMMARY, RESULT = "junit.xml", "summary.json", "result.json"
PARAMETER = "MESHTEST_PARAM_"


@dataclass(frozen=True)
class Work:
    command: tuple[str, ...]
    environment: Mapping[str, str]
    """On top of the endpoint's own, but for its secrets."""
    end_with: int = signal.SIGTERM
    """The signal that asks it to end."""


def work(suite: Suite, run: StoredRun, folder: Path) -> Work:
    # pytest tears its fixtures down on SIGINT; SIGTERM would end it at once
    end_with = signal.SIGINT if suite.kind == "tests" else signal.SIGTERM
    return Work(_COMMANDS[suite.kind](suite, folder), environment(run, folder), end_with)


def environment(run: StoredRun, folder: Path) -> Mapping[str, str]:
    given = {variable(name): value for name, value in run.parameters.items()}
    return {
        **given,
        "MESHTEST_CANARY": run.key.canary,
        "MESHTEST_NAMESPACE": run.key.namespace,
        "MESHTEST_CHECKSUM": run.key.checksum,
        "MESHTEST_PHASE": run.phase,
        "MESHTEST_REPORTS": str(folder / "reports"),
        "PYTHONUNBUFFERED": "1",
    }


def variable(parameter: str) -> str:
    return PARAMETER + parameter.upper().replace("-", "_")


def _pytest(suite: Suite, folder: Path) -> tuple[str, ...]:
    """-P: the working folder is no place to import from. The cache would be written beside the tests."""
    words = ("-m", "pytest", str(suite.path), f"--junitxml={folder / JUNIT}", "-p", "no:cacheprovider", "--color=no")
    return (sys.executable, "-P", *words, *suite.arguments)


def _k6(suite: Suite, folder: Path) -> tuple[str, ...]:
    words = ("run", "--quiet", "--no-color", "--no-usage-report", f"--summary-export={folder / SUMMARY}")
    return (sys.executable, "-P", "-m", "meshtest_k6", *words, *suite.arguments, str(suite.path / suite.file))


def _judge(suite: Suite, folder: Path) -> tuple[str, ...]:
    words = ("gate", str(suite.path / suite.file), "--result", str(folder / RESULT))
    return (sys.executable, "-P", "-m", "meshtest", *words, *suite.arguments)


_COMMANDS = {"tests": _pytest, "k6": _k6, "judge": _judge}
