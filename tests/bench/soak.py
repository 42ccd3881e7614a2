"""A year of `meshtest webhook serve` in some minutes: what grows? Memory, open files, the state, its WAL, the folders.

100,000 gate checks at 200 a second and 300 runs, of which 100 are kept; MESHTEST_BENCH_CHECKS and MESHTEST_BENCH_RUNS
change that. A shell script stands in for k6, as a run of pytest takes most of a second. What must not grow is printed
after a tenth of each and at the end; the listings are timed over all runs that are kept.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.sigkill import K6
from tests.conftest import Ground, Program

CHECKS = int(os.environ.get("MESHTEST_BENCH_CHECKS", "100000"))
RUNS = int(os.environ.get("MESHTEST_BENCH_RUNS", "300"))
RATE, KEPT, AT_ONCE = 200, 100, 20
LISTINGS = ("/", "/runs", "/runs?limit=1000", "/metrics")


class Caller:
    """One connection, as Flagger's: opened anew every thousand calls."""

    def __init__(self, program: Program) -> None:
        program.says("listening on ")
        self._port = int(program.out.split("http://127.0.0.1:")[1].split(",")[0])
        self._connection, self._calls = self._connected(), 0

    def _connected(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)

    def __call__(self, method: str, path: str, name: str = "web", checksum: str = "c1") -> tuple[int, str]:
        self._calls += 1
        if self._calls % 1000 == 0:
            self._connection.close()
        payload = {"name": name, "namespace": "shop", "phase": "Progressing", "checksum": checksum}
        self._connection.request(method, path, json.dumps(payload) if method == "POST" else None)
        response = self._connection.getresponse()
        return response.status, response.read().decode()


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    ground = Ground(folder)
    try:
        program = _serve(ground)
        call = Caller(program)
        _tell(program, folder, "at the start")
        for part in (CHECKS // 10, CHECKS - CHECKS // 10):
            _check(call, part)
            _tell(program, folder, f"after {part} more checks")
        for part in (RUNS // 10, RUNS - RUNS // 10):
            _run(call, part)
            _tell(program, folder, f"after {part} more runs")
        for path in LISTINGS:
            _time(call, path)
        program.process.terminate()
        program.wait()
    finally:
        ground.close()
        shutil.rmtree(folder)


def _serve(ground: Ground) -> Program:
    ground.write("suites/cheap/suite.yaml", "k6: script.js\n")
    ground.write("suites/cheap/script.js", "// a shell script runs in its place\n")
    ground.write("k6", K6.replace("setsid sleep 60 &", "").replace('"$((${MESHTEST_CANARY#c} % 5)).2"', "0"))
    (ground.folder / "k6").chmod(0o755)
    words = ("--suites", "suites", "--state", "state", "--listen", "127.0.0.1:0", "--keep-runs", KEPT)
    environment = {"MESHTEST_K6": str(ground.folder / "k6"), "BEGAN": str(ground.folder / "began")}
    return ground.start(sys.executable, "-m", "meshtest", "webhook", "serve", *words, env=environment)


def _check(call: Caller, count: int) -> None:
    """Of gates that are opened, bound, closed by the next revision, and opened again."""
    began = time.monotonic()
    for number in range(count):
        name, checksum = f"web{number % 50}", f"c{number // 500}"
        if number % 500 < 50:
            call("POST", "/gate/open", name, checksum)
        call("POST", "/gate/check", name, checksum)
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))


def _run(call: Caller, count: int) -> None:
    """Some at a time, each of a new revision of a canary of its own."""
    for first in range(0, count, AT_ONCE):
        asked = [(f"c{n % AT_ONCE}", f"{time.monotonic_ns()}") for n in range(first, min(first + AT_ONCE, count))]
        for name, checksum in asked:
            call("POST", "/hooks/pre-rollout/cheap", name, checksum)
        while json.loads(call("GET", "/runs?state=queued")[1])["runs"]:
            time.sleep(0.1)
    while json.loads(call("GET", "/runs?state=running")[1])["runs"]:
        time.sleep(0.1)


def _tell(program: Program, folder: Path, when: str) -> None:
    memory = int(Path(f"/proc/{program.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    files = len(os.listdir(f"/proc/{program.pid}/fd"))
    threads = len(os.listdir(f"/proc/{program.pid}/task"))
    state = {name: _size(folder / "state" / f"state.sqlite{name}") for name in ("", "-wal")}
    runs = len(list((folder / "state" / "runs").iterdir()))
    print(
        f"{when:24} RSS {memory / 2**20:6.1f} MiB, {files} open files, {threads} threads, state {state[''] >> 10} KiB, "
        f"WAL {state['-wal'] >> 10} KiB, {runs} folders of runs", flush=True,
    )  # fmt: skip


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _time(call: Caller, path: str) -> None:
    took = []
    for _ in range(5):
        began = time.perf_counter()
        _, text = call("GET", path)
        took.append(time.perf_counter() - began)
    print(f"GET {path:18} {len(text) >> 10} KiB in {min(took) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
