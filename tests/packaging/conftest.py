"""The wheel, built once as a release would be, and a fresh environment it is installed into."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


class Environment:
    """A venv of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"

    def run(self, *words: object, cwd: Path, code: int = 0) -> str:
        """Its output; the assertion shows it when it ended otherwise."""
        hidden = ("PYTHONPATH", "MESHTEST_", "PYTEST_", "VIRTUAL_ENV")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        done = subprocess.run(
            list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def pip(self, *words: object, cwd: Path) -> str:
        """Ours, at work in it: one of its own would take five seconds to install."""
        return self.run(sys.executable, "-m", "pip", "--python", self.python, *words, cwd=cwd)

    def says(self, code: str, cwd: Path) -> str:
        """What a bit of Python prints in it."""
        return self.run(self.python, "-c", code, cwd=cwd).strip()


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built in isolation: xds-protos is in the build environment and nowhere else."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("pip is needed to build the wheel")
    done = subprocess.run(
        [*pip, "wheel", "--no-deps", "--quiet", "-w", folder, ROOT], capture_output=True, text=True, check=False
    )
    if done.returncode and "Could not find a version" in done.stderr:
        pytest.skip(f"no package index: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("meshtest-*.whl")
    return made


@pytest.fixture(scope="session")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel, beside the packages it needs as they are here; that pip finds them is shown by the README's first
    command. What is here besides, an editable meshtest too, is behind it on the path."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", symlinks=True)
    made = Environment(folder / "venv")
    site = Path(made.says("import sysconfig; print(sysconfig.get_path('purelib'))", folder))
    (site / "needed.pth").write_text(sysconfig.get_path("purelib"))
    made.pip("install", "--quiet", "--no-deps", "--ignore-installed", "--no-compile", wheel, cwd=folder)
    return made
