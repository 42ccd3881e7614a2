"""The README's examples run as they are written."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_python_example_passes(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    (tmp_path / "test_readme_example.py").write_text(blocks[0])
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


def test_the_first_shell_block_is_the_two_commands_of_the_gate() -> None:
    block = re.search(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block
    first, second = block[1].splitlines()
    assert first.endswith("meshtest demo")
    assert second.endswith("pytest -n auto")
