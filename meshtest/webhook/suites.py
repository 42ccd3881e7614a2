"""The allow-list: what can be run, by name. Nobody can run anything else.

Not here: what `suite.yaml` may say (suite_file.py), what is started for a suite (work.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal

from meshtest.errors import UsageError
from meshtest.lib import regex
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest

Kind = Literal["tests", "k6", "judge"]
LONGEST_VALUE = 1024


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One that a suite takes, from the hook's metadata."""

    pattern: str = r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,252}"
    """The whole value must match (RE2)."""
    default: str | None = None
    """None: it must be given."""
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A folder under `--suites`, and what its `suite.yaml` says (all of it optional)."""

    name: str
    path: Path
    about: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    timeout: float = 1800.0
    """Seconds; then the run is UNKNOWN."""
    max_age: float = 600.0
    """Seconds for which a pass lets a rollout begin (confirm-rollout); more than an interval of the Canary."""
    namespaces: tuple[str, ...] = ()
    """Regular expressions that the whole namespace must match; none: every one that the endpoint admits."""
    kind: Kind = "tests"
    """What its runs are: pytest on the folder, k6 with a script, our judge with a file."""
    file: str = ""
    """The script or the file, in the folder."""
    arguments: tuple[str, ...] = ()
    """Further words for pytest or k6, as `-k smoke`."""
    rerun_interrupted: bool = False
    """A run that the endpoint's death has cut is run again; else it waits for a person."""

    def admits(self, namespace: str) -> bool:
        return not self.namespaces or any(regex.matches(one, namespace) for one in self.namespaces)

    def resolved(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """A value for each parameter. UsageError, in one line, for an unknown, missing or unfit one."""
        for name in given:
            if name not in self.parameters:
                raise UsageError(f"suite {self.name!r} has no parameter {name!r}{self._hint(name)}")
        return {name: self._value(name, one, given.get(name)) for name, one in self.parameters.items()}

    def _hint(self, name: str) -> str:
        if close := nearest(name, self.parameters):
            return f"; did you mean {close!r}?"
        return f"; it has {listed(self.parameters)}" if self.parameters else ""

    def _value(self, name: str, parameter: Parameter, given: str | None) -> str:
        value = parameter.default if given is None else given
        if value is None:
            about = parameter.about or f"it must match {parameter.pattern}"
            raise UsageError(f"suite {self.name!r} needs the parameter {name!r}: {about}")
        if len(value) > LONGEST_VALUE or not value.isprintable() or not regex.matches(parameter.pattern, value):
            raise UsageError(f"parameter {name!r} of suite {self.name!r} must match {parameter.pattern}")
        return value


def load_suites(folder: Path) -> Mapping[str, Suite]:
    """By name. UsageError lists every mistake with its file:line."""
    from meshtest.webhook.suite_file import found

    return found(folder)
