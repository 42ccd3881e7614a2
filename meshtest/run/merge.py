"""Run folders of several machines or workers, brought together in one folder. Copies; nothing is ever replaced.

Not here: the index of the folder (reporters/html), xdist's workers on one machine (they write to one folder anyway).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from meshtest.errors import HistoryError, UsageError
from meshtest.run import folder


class Merged(NamedTuple):
    """One run of a source."""

    source: Path
    path: Path
    """Where it is now."""
    copied: bool
    """False: it was there before."""


def merge(sources: Sequence[Path], into: Path) -> list[Merged]:
    """Each run of each source, which is a folder of runs or a run. A run that is there already stays as it is."""
    found = [path for source in sources for path in _runs(source, into)]
    there = {_identity(path): path for path, _ in folder.runs(into)}
    into.mkdir(parents=True, exist_ok=True)
    return [_merged(path, into, there) for path in found]


def _runs(source: Path, into: Path) -> Iterator[Path]:
    if folder.about(source) is not None:
        yield source
        return
    runs = [path for path, _ in folder.runs(source)]
    if not runs:
        raise UsageError(f"{source} has no run folders, nor is it one" if source.is_dir() else f"no folder {source}")
    if source.resolve() == into.resolve():
        raise UsageError(f"{source} is what the runs are to be merged into; name the others")
    yield from runs


def _identity(path: Path) -> tuple[object, ...]:
    """The same of a run and its copies, on whatever machine."""
    about = folder.about(path) or {}
    return tuple(about.get(name) for name in ("name", "started", "start_ns", "pid", "seed"))


def _merged(source: Path, into: Path, there: dict[tuple[object, ...], Path]) -> Merged:
    identity = _identity(source)
    if identity in there:
        return Merged(source, there[identity], False)
    try:
        there[identity] = _copied(source, into)
    except OSError as error:
        raise HistoryError(f"cannot copy {source} into {into}: {error.strerror or error}") from None
    return Merged(source, there[identity], True)


def _copied(source: Path, into: Path) -> Path:
    """Made aside and renamed, as every run folder: no one sees half of it."""
    aside = Path(tempfile.mkdtemp(prefix=".new-", dir=into))
    try:
        shutil.copytree(source, aside, dirs_exist_ok=True)
        return folder.placed(aside, into / source.name)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)
        raise
