"""The README's examples run as they are written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

import meshtest
from meshtest import Mesh, Settings
from meshtest.run import Run
from meshtest.testing import FakeProvider
from meshtest.testing.certificates import CertificateAuthority

ROOT = Path(__file__).parents[1]
K6 = shutil.which("k6", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


def blocks(language: str) -> Sequence[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)


def test_the_python_example_passes(tmp_path: Path) -> None:
    (tmp_path / "test_readme_example.py").write_text(blocks("python")[0])
    shutil.copy(ROOT / "suites" / "traffic_shift" / "web.yaml", tmp_path / "web.yaml")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    # as many requests as it sends are enough for this error; by default it would fail once in 500 runs
    few = {**os.environ, "MESHTEST_ERROR": "1e-5"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, env=few)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


LOADS = [line for line in blocks("python")[1].splitlines() if line]


@pytest.mark.parametrize("line", LOADS)
def test_each_load_it_shows_can_be_made(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is checked before anything is sent."""
    if "locustfile" in line and not find_spec("locust"):
        pytest.skip("Locust is not installed")
    if "k6=" in line and not K6:
        pytest.skip("k6 is not installed")
    monkeypatch.chdir(tmp_path)
    Path("cart.json").write_text("{}")
    shutil.copy(ROOT / "suites" / "load" / "journeys.py", "journeys.py")
    shutil.copy(ROOT / "suites" / "load" / "visit.js", "script.js")
    settings = Settings(reports=tmp_path)
    with Mesh(FakeProvider(), Run("readme", settings), settings) as mesh:
        known = {name: getattr(meshtest, name) for name in meshtest.__all__}
        load = eval(line, known | {"mesh": mesh, "ca": CertificateAuthority().root})
    assert load.name == "load1"


def test_the_first_shell_block_is_the_two_commands_of_the_gate() -> None:
    first, second = blocks("sh")[0].splitlines()
    assert first.endswith("meshtest demo")
    assert second.endswith("pytest -n auto")
