"""The zygote is of no consequence: pods are the supervisor's children, and start without it too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from meshtest_envoy.pods import linux, procs

from meshtest.lib.wait import until
from meshtest.loads.ask import Ask, ask

from .conftest import PATIENCE, Watched, Wire, zygotes

Connect = Callable[[int], Wire]

pytestmark = pytest.mark.skipif(not linux.CAN_FORK_SIBLINGS, reason="needs clone(CLONE_PARENT)")


def own(pid: int) -> float:
    """MiB that this process shares with nobody."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def answers(connect: Connect, port: int) -> bool:
    return connect(port).get().answer()[0] == 200


def test_a_pod_of_the_zygote_is_like_one_forked_by_the_supervisor_but_smaller(mesh: Watched, connect: Connect) -> None:
    first = [mesh.ready(f"web-{n}") for n in range(4)]
    (zygote,) = zygotes(mesh)
    os.kill(zygote, signal.SIGKILL)
    until(lambda: procs.stat(zygote) is None, within=PATIENCE, what=lambda: "the zygote lives")
    second = [mesh.ready(f"web-{n}") for n in range(4, 8)]
    assert all(answers(connect, pod.ports[8080]) for pod in (*first, *second))

    def looks(pid: int) -> tuple[object, ...]:
        told = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        found = procs.stat(pid)
        assert found is not None
        signals = [told[name] for name in ("SigBlk", "SigIgn", "SigCgt")]
        return (found.parent, found.session == pid, len(os.listdir(f"/proc/{pid}/fd")), *signals)

    assert looks(first[1].pid) == looks(second[1].pid)
    assert looks(first[1].pid)[0] == mesh.supervisor.pid
    assert own(first[1].pid) < own(second[1].pid)


def test_pods_of_http2_come_from_a_zygote_of_their_own_and_cost_the_others_nothing(
    mesh: Watched, connect: Connect
) -> None:
    before = mesh.ready("web-0")
    speaking = [mesh.ready(f"api-{n}", protocols=((8080, "http2"),)) for n in range(2)]
    after = mesh.ready("web-1")
    assert len(zygotes(mesh)) == 2
    assert all(answers(connect, pod.ports[8080]) for pod in (before, after))
    for pod in speaking:
        assert ask(("127.0.0.1", pod.ports[8080]), Ask.of("http://api/", protocol="http2")).status == 200
    assert own(after.pid) < own(before.pid) + 0.1
    assert max(own(pod.pid) for pod in speaking) < 6.0, "MiB; one that imports h2 itself has 9.6"


def test_without_any_zygote_a_pod_of_http2_imports_what_it_needs(mesh: Watched) -> None:
    mesh.ready("api-0", protocols=((8080, "grpc"),))
    for pid in zygotes(mesh):
        os.kill(pid, signal.SIGKILL)
    until(lambda: not zygotes(mesh), within=PATIENCE, what=lambda: "a zygote lives")
    port = mesh.ready("api-1", protocols=((8080, "grpc"),)).ports[8080]
    assert ask(("127.0.0.1", port), Ask.of("grpc://api/a.B/C")).grpc_status == 0


def test_a_hanging_zygote_is_done_without(mesh: Watched, connect: Connect) -> None:
    mesh.ready("web-0")
    (zygote,) = zygotes(mesh)
    os.kill(zygote, signal.SIGSTOP)
    port = mesh.ready("web-1").ports[8080]
    assert answers(connect, port)
    assert zygotes(mesh) == []


def test_an_order_too_long_to_be_sent_is_carried_out_too(mesh: Watched, connect: Connect) -> None:
    for name, told in {"web-0": {"meshtest.dev/drain": " " * 300_000 + "abrupt"}, "web-1": {}}.items():
        assert answers(connect, mesh.ready(name, annotations=told | {"other": "x" * 300_000}).ports[8080])
    assert len(zygotes(mesh)) == 1


def test_a_sibling_is_waited_for_by_the_parent(tmp_path: Path) -> None:
    """In a process of its own: this one has threads."""
    script = (
        "import json, os, sys; from meshtest_envoy.pods import linux; top = os.getpid()\n"
        "if os.fork() == 0:\n"
        "  pid = linux.fork_sibling()\n"
        "  os._exit(0 if pid > 0 else 7 if os.getppid() == top else 8)\n"
        "print(json.dumps(sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2))))"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        check=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert json.loads(told.stdout) == [0, 7]
