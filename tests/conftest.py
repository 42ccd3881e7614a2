"""`ground`: a place to start programs in, that knows every process they start and sees that nothing of it is left.

Each program gets a variable in its environment that its children inherit, and a $TMPDIR of its own. At the end of every
test no process with that variable may run, and the $TMPDIR must be empty.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from meshtest.lib.wait import until
from meshtest.run.folder import runs

PATIENCE = 120.0
"""Seconds until a test gives up, which only one that fails waits for. What takes 8 s on an idle machine took
25 where ten processes shared its two cores."""
GONE_WITHIN = 1.0
"""Seconds within which nothing may be left of a program that has ended, however it ended; see unhurried()."""
MARK = "MESHTEST_TEST_GROUND"

SETTINGS = ("MESHTEST_", "PYTEST_", "GITHUB_STEP_SUMMARY", "PY_COLORS", "FORCE_COLOR", "XDG_RUNTIME_DIR", "COV_")
"""What of our own environment must not reach the programs."""

UNUSED = " ".join(f"-p no:{name}" for name in ("anyio", "hypothesispytest", "allure_pytest", "locust"))
"""Plugins that these programs have no use for: together they take half of the CPU of every start of pytest."""


def unhurried(seconds: float) -> float:
    """A promise of so many seconds, as a machine can keep it on which several processes want each core."""
    running = float(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    waiting = max(running, os.getloadavg()[0]) / (os.cpu_count() or 1)
    return seconds * max(1.0, 2 * waiting)


class Program:
    """One that was started; its output is in files, so that it never waits for a reader."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process, self._out, self._err = process, out, err

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def out(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def err(self) -> str:
        return self._err.read_text(errors="replace")

    def signal(self, number: int) -> None:
        """To it alone; Ctrl-C on a terminal goes to the whole group, see interrupt()."""
        self.process.send_signal(number)

    def interrupt(self) -> None:
        """Ctrl-C as a terminal sends it: to every process of the foreground group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def wait(self, within: float = PATIENCE) -> int:
        """Its exit code."""
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs after {within:g} s\n{self}") from None

    def until(self, condition: Callable[[], object], what: str, within: float = PATIENCE) -> None:
        """Wait for a condition as long as it runs."""
        until(
            lambda: bool(condition()) or self.process.poll() is not None,
            within=within,
            what=lambda: f"{what} did not happen in {within:g} s\n{self}",
        )
        assert condition(), f"it ended before: {what}\n{self}"

    def says(self, words: str, within: float = PATIENCE) -> None:
        """Wait until it has printed these words."""
        self.until(lambda: words in self.out, f"printing {words!r}", within)

    def __repr__(self) -> str:
        return f"code {self.process.returncode}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Ground:
    """A working folder, programs in it, and what is left of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = Path(tempfile.mkdtemp(prefix="mt-", dir="/tmp"))  # short: sockets go below it
        self.mark = secrets.token_hex(8)
        self.programs: list[Program] = []

    # ---- files

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def runs(self) -> list[Path]:
        """Run folders, the oldest first."""
        return [path for path, _ in runs(self.folder / "reports")]

    def records(self) -> list[Path]:
        """Of all loads of all runs. glob.glob, unlike Path.glob, bears folders that go while it looks."""
        return [Path(path) for path in glob.glob(f"{self.folder}/reports/*/requests/*.bin")]

    # ---- programs

    def environment(self, **more: str) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS)}
        ours = {"TMPDIR": str(self.temporary), MARK: self.mark, "COLUMNS": "100"}
        return {**inherited, **ours, "PYTEST_ADDOPTS": UNUSED, **more}

    def start(self, *words: object, env: Mapping[str, str] | None = None) -> Program:
        """A program in a session of its own."""
        out, err = (self.temporary.with_name(f"{self.temporary.name}.{len(self.programs)}.{s}") for s in ("out", "err"))
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                list(map(str, words)),
                cwd=self.folder,
                env=self.environment(**(env or {})),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self.programs.append(Program(process, out, err))
        return self.programs[-1]

    def meshtest(self, *words: object, env: Mapping[str, str] | None = None) -> Program:
        """The command line, started."""
        return self.start(sys.executable, "-m", "meshtest", *words, env=env)

    def pytest(self, *words: object, env: Mapping[str, str] | None = None) -> Program:
        return self.start(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words, env=env)

    # ---- what is left

    def processes(self) -> list[tuple[int, str]]:
        """(pid, command) of the living that inherited the mark; a zombie runs nothing and holds nothing."""
        found = []
        wanted = f"{MARK}={self.mark}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in (entry / "environ").read_bytes().split(b"\0"):
                        state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                        command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                        if state not in "ZX":
                            found.append((int(entry.name), command[:120]))
        return found

    def left(self) -> list[str]:
        """Processes, and whatever is in $TMPDIR: runtime folders, sockets, files (but not pytest's own folders)."""
        # os.walk, and not rglob: folders may go while we look
        found = [os.path.join(at, name) for at, *names in os.walk(self.temporary) for name in (*names[0], *names[1])]
        files = [path for path in found if "pytest-of-" not in path]
        return [*(f"process {pid}: {command}" for pid, command in self.processes()), *files]

    def nothing_left(self, within: float = GONE_WITHIN) -> None:
        within = unhurried(within)
        until(lambda: not self.left(), within=within, what=lambda: f"left after {within:g} s: {self.left()}")

    def close(self) -> None:
        """End what the test did not (a failed one, mostly), then complain about anything left."""
        for program in self.programs:
            if program.process.poll() is None:
                program.process.kill()
            program.process.wait()
        try:
            self.nothing_left()
        finally:
            for pid, _ in self.processes():
                os.kill(pid, signal.SIGKILL)
            shutil.rmtree(self.temporary, ignore_errors=True)
            for path in self.temporary.parent.glob(f"{self.temporary.name}.*"):
                path.unlink()


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    yield made
    made.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken


@contextlib.contextmanager
def deaf() -> Iterator[int]:
    """A port where nobody listens, and nobody will: it is bound."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


def spare_port() -> int:
    """A free port below those that the kernel gives out, so that nobody is given it until it is used."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(min(10_000, lowest // 2), lowest)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def elapsed(began: float) -> float:
    return time.monotonic() - began


def run_folder_events(run: Path) -> list[dict[str, Any]]:
    """What a run has recorded by now, as it stands in the file."""
    lines = (run / "events.jsonl").read_bytes().split(b"\n")[:-1]
    return [json.loads(line) for line in lines]


def corpora_folder() -> Path:
    """Where they would be."""
    return Path(os.environ.get("MESHTEST_CORPORA") or Path(__file__).parents[2] / "shared" / "corpora")


@pytest.fixture(scope="session")
def corpora() -> Path:
    """Real manifests of public projects, for the tests that read them."""
    folder = corpora_folder()
    if not folder.is_dir():
        pytest.skip(f"no corpora at {folder}; set MESHTEST_CORPORA")
    return folder


@pytest.fixture(scope="session")
def schemas(corpora: Path) -> Path:
    """The CRDs, beside the corpora; read them by tests/crds.py."""
    folder = corpora.parent / "schemas"
    if not folder.is_dir():
        pytest.skip(f"no schemas at {folder}")
    return folder
