"""`meshtest webhook serve` under 20 concurrent runs, killed by SIGKILL at 100 random moments.

Aim (the issue): 0 lost, 0 twice, 0 orphan processes. A client asks as Flagger does, and asks again what got no answer.
MESHTEST_BENCH_KILLS and MESHTEST_BENCH_SEED change the trial. What the witness counts: tests/webhook/sigkill.py.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.conftest import Ground, Program
from tests.webhook import sigkill

KILLS = int(os.environ.get("MESHTEST_BENCH_KILLS", "100"))
CONCURRENT = 20
SEED = int(os.environ.get("MESHTEST_BENCH_SEED", "6"))
K6 = """\
#!/bin/sh
# stands in for k6: tells that it has begun, leaves a process behind, and passes or fails by its number
printf '%s %s\\n' "$MESHTEST_RUN" "$MESHTEST_CANARY" >> "$BEGAN"
setsid sleep 60 &
sleep 0.2
echo '{"metrics": {"iterations": {"count": 1}, "http_reqs": {"thresholds": {"count>0": false}}}}' > summary.json
case "$MESHTEST_CANARY" in *[13579]) exit 99;; esac
"""


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="sigkill-"))
    ground = Ground(folder)
    moments = random.Random(SEED)
    began = time.monotonic()
    try:
        _suites(ground)
        orphans = sum(_life(ground, moments) for _ in range(KILLS))
        _last_life(ground)
        _print(sigkill.witness(folder), orphans, time.monotonic() - began)
    finally:
        ground.close()
        shutil.rmtree(folder)


def _suites(ground: Ground) -> None:
    ground.write("suites/cheap/suite.yaml", "k6: script.js\n")
    ground.write("suites/cheap/script.js", "// a shell script runs in its place\n")
    ground.write("k6", K6).chmod(0o755)


def _serve(ground: Ground) -> Program:
    words = ("--suites", "suites", "--state", "state", "--listen", "127.0.0.1:0")
    limits = ("--workers", CONCURRENT, "--queue", CONCURRENT)
    environment = {"MESHTEST_K6": str(ground.folder / "k6"), "BEGAN": str(ground.folder / "began")}
    return ground.start(sys.executable, "-m", "meshtest", "webhook", "serve", *words, *limits, env=environment)


class Client(threading.Thread):
    """Until the endpoint does not answer any more."""

    def __init__(self, ground: Ground, program: Program) -> None:
        super().__init__(daemon=True)
        self._folder, self._program = ground.folder, program

    def run(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._connection = _connected(self._program)
            earlier = random.Random(self._next())
            for number in itertools.count(self._next()):
                self._submit(number)
                self._open(number)
                self._verdict(earlier.randrange(number + 1))

    def _next(self) -> int:
        """The first that nobody has confirmed: it is asked for again, as Flagger would."""
        return max((int(words[2]) for words in sigkill.told(self._folder) if words[0] == "accepted"), default=-1) + 1

    def _submit(self, number: int) -> None:
        while True:
            status, text = self._ask("/hooks/pre-rollout/cheap?wait=0", f"c{number}", "abc")
            if status != 429:
                break
            self._verdict(random.Random(number).randrange(max(1, number)))
        sigkill.tell(self._folder, f"accepted {_id(text)} {number}")

    def _verdict(self, number: int) -> None:
        _, text = self._ask("/hooks/rollout/cheap?wait=0.1", f"c{number}", "abc")
        state = text.split()[2].strip(":").lower()
        if state in ("passed", "failed", "unknown", "interrupted"):
            sigkill.tell(self._folder, f"verdict {_id(text)} {state}")

    def _open(self, number: int) -> None:
        status, _ = self._ask("/gate/open", f"g{number % 7}", str(number))
        if status == 202:
            sigkill.tell(self._folder, f"gate g{number % 7} {number}")

    def _ask(self, path: str, name: str, checksum: str) -> tuple[int, str]:
        payload = {"name": name, "namespace": "shop", "phase": "Progressing", "checksum": checksum}
        self._connection.request("POST", path, json.dumps(payload), {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        return response.status, response.read().decode()


def _id(text: str) -> str:
    return text.split("/reports/")[1].split("/")[0]


def _life(ground: Ground, moments: random.Random) -> int:
    """Until a random moment; what was left running a while after its death."""
    program = _serve(ground)
    client = Client(ground, program)
    client.start()
    lines = len(sigkill.told(ground.folder)) + moments.randrange(60)
    program.until(lambda: len(sigkill.told(ground.folder)) >= lines, "enough to lose")
    time.sleep(moments.random() * 0.2)
    program.process.kill()
    program.wait()
    client.join()
    try:
        ground.nothing_left()
    except TimeoutError:
        return len(ground.processes())
    return 0


def _last_life(ground: Ground) -> None:
    """Whatever was accepted comes to its end."""
    program = _serve(ground)
    connection = _connected(program)
    program.until(lambda: not _under_way(connection), "the end of all runs", within=600)
    connection.close()
    program.process.terminate()
    program.wait()


def _connected(program: Program) -> http.client.HTTPConnection:
    program.says("listening on ")
    port = int(program.out.split("http://127.0.0.1:")[1].split(",")[0])
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


def _under_way(connection: http.client.HTTPConnection) -> list[object]:
    found = []
    for state in ("queued", "running"):
        connection.request("GET", f"/runs?state={state}")
        found += json.load(connection.getresponse())["runs"]
    return found


def _print(count: sigkill.Count, orphans: int, seconds: float) -> None:
    print(f"{KILLS} kills (seed {SEED}) under {CONCURRENT} concurrent runs, in {seconds:.0f} s")
    print(
        f"  runs accepted {count.accepted}, ended {count.ended}, of them interrupted {count.interrupted}; "
        f"verdicts told {count.verdicts}"
    )
    print(f"  lost {count.lost} (aim 0), twice {count.twice} (aim 0), orphan processes {orphans} (aim 0)")
    print(f"  gates set {count.gates}, lost {count.gates_lost} (aim 0)")


if __name__ == "__main__":
    main()
