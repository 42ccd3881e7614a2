"""A run folder on a disk that fills up: said so, nothing that was written is lost, everything ends in order."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Ground, run_folder_events
from tests.web import WEB

UNDER_LOAD = """
import pytest

@pytest.mark.mesh_apply("web.yaml")
def test_shifts(mesh):
    with mesh.load("GET http://web/", rps=400) as load:
        for percent in range(1000):
            mesh["web"].shift(v2=percent % 100)
            load.until(requests=50)
    mesh.verify()

@pytest.mark.mesh(reports="elsewhere")
@pytest.mark.mesh_apply("web.yaml")
def test_next(mesh):
    mesh.load("GET http://web/", requests=5).run()
    mesh.verify()
"""


@pytest.fixture
def small_disk(ground: Ground) -> Iterator[Path]:
    """160 KiB for run folders."""
    if os.geteuid():
        pytest.skip("only root can mount a small disk")
    disk = ground.folder / "reports"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160k", "none", disk], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_full_disk_is_no_verdict_and_no_crash(ground: Ground, small_disk: Path) -> None:
    ground.write("web.yaml", WEB)
    ground.write("test_shifts.py", UNDER_LOAD)
    program = ground.pytest("-q")
    assert program.wait() == 1, program
    assert "HistoryError: " in program.out
    assert "No space left on device" in program.out or "disk full" in program.out
    assert "1 failed, 1 passed, 1 error" in program.out, "the next test, on another disk, is none the worse"
    assert "record  reports/" in program.out
    ground.nothing_left()
    (run,) = ground.runs()
    assert len([e for e in run_folder_events(run) if e["kind"] == "config.ack"]) > 1
    judged = ground.meshtest("judge", run)
    assert judged.wait() == 5, judged
    assert "UNKNOWN: history: the record was cut short (crash or full disk)" in judged.out


def test_a_disk_that_is_full_from_the_start_is_said_so(ground: Ground, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(160 * 1024))
    ground.write("web.yaml", WEB)
    program = ground.meshtest("up", "web.yaml")
    assert program.wait() == 3, program
    assert program.err.startswith("meshtest: cannot make a run folder in reports: No space left on device")
