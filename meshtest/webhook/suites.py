"""The allow-list: what can be run, by name. Nobody can run anything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path

from meshtest.lib.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One that a suite takes, from the hook's metadata."""

    pattern: str = r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,252}"
    """The whole value must match."""
    default: str | None = None
    """None: it must be given."""
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A folder of tests under `--suites`, and what its `suite.yaml` says (all of it optional)."""

    name: str
    path: Path
    about: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    timeout: float = 1800.0
    """Seconds; then the run is UNKNOWN."""
    namespaces: tuple[str, ...] = ()
    """Regular expressions that the whole namespace must match; none: every one that the endpoint admits."""
