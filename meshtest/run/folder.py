"""Run folders: how one is made (whole or not at all), told from others, and cleared away.

reports/2026-08-22T01-00-07-canary/
    run.json        about the run, from its first moment; `ended` and `outcome` once it is over
    events.jsonl    an Event a line
    requests/       LOAD.bin (RECORDs) and LOAD.names; of further processes of a load LOAD+1.bin ...
    hops.tsv        the proxies' access log, if the provider has one
    spans.jsonl     a Span a line, as proxies and services told of them
    config/NNN.diff what each change of the configuration changed; pods/POD.log
    checks.json     what was asked, of which window and cut; verdict.json: the answer
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meshtest.errors import HistoryError
from meshtest.lib.journal import write_atomically

RUN, EVENTS, CHECKS, VERDICT, HOPS, SPANS, REQUESTS = (
    "run.json", "events.jsonl", "checks.json", "verdict.json", "hops.tsv", "spans.jsonl", "requests",
)  # fmt: skip
SCHEMA_VERSION = 3
_LONGEST_SLUG = 60


def slug(name: str) -> str:
    """`tests/test_canary.py::test_x[v2]` -> `tests-test-canary-py-test-x-v2`, shortened from the left."""
    words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return words[-_LONGEST_SLUG:].strip("-") or "run"


def create(parent: Path, name: str, about: Mapping[str, Any], *, now: float | None = None) -> Path:
    """A new folder with its run.json. It is made aside and renamed: no one sees half of it, no two runs share one."""
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(now))
    try:
        parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".new-", dir=parent))
    except OSError as error:
        raise HistoryError(
            f"cannot make a run folder in {parent}: {error.strerror} (choose with --mesh-reports)"
        ) from None
    try:
        made.chmod(0o755)
        (made / REQUESTS).mkdir()
        write_atomically(made / RUN, about)
        return placed(made, parent / f"{stamp}-{slug(name)}")
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise HistoryError(f"cannot make a run folder in {parent}: {error.strerror}") from None


def placed(made: Path, wanted: Path) -> Path:
    """Rename to the first free of NAME, NAME-2, NAME-3...; a folder that is not empty is never replaced."""
    for number in range(1, 10_000):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            if not path.exists():
                try:
                    made.rename(path)
                except OSError:
                    if path.exists():
                        continue  # taken since we looked
                    raise
                return path
    raise FileExistsError(17, "10,000 folders of that name")


def about(folder: Path) -> dict[str, Any] | None:
    """The contents of run.json; None if this is no run folder of ours."""
    try:
        data = json.loads((folder / RUN).read_text())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) and "schema_version" in data else None


def sheets(path: Path) -> list[str]:
    """The files of records of a run, without their ending: `load1`, and `load1+1` of its second process."""
    return sorted(p.stem for p in (path / REQUESTS).glob("*.bin"))


def alive(data: Mapping[str, Any]) -> bool:
    """The process that wrote this run.json is still at it."""
    pid = data.get("pid")
    if data.get("ended") is not None or not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return data.get("pid_started") in (None, started(pid))


def started(pid: int) -> str | None:
    """When a process started, in the kernel's own count: pids come around again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def runs(parent: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Run folders of ours, the oldest first; not one that is being made."""
    if not parent.is_dir():
        return []
    made = [path for path in parent.iterdir() if not path.name.startswith(".") and not path.is_symlink()]
    found = [(path, data) for path in made if (data := about(path)) is not None]
    return sorted(found, key=lambda run: (float(run[1].get("started") or 0), run[0].name))


def clear(parent: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` runs that are over. Nothing else in the folder is touched."""
    over = [path for path, data in runs(parent) if not alive(data)]
    surplus = over[: max(len(over) - keep, 0)]
    for path in surplus:
        shutil.rmtree(path, ignore_errors=True)
    return surplus
