"""Pods as real processes: start, crash, probes, termination."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from meshtest_envoy.pods import procs
from meshtest_envoy.pods.client import Supervisor
from meshtest_envoy.pods.runtime import make_runtime_dir

from meshtest.errors import ProcessFailed, ProviderError
from meshtest.lib.wait import until
from meshtest.model.service import Handler, Probe

from .conftest import PATIENCE, Watched, Wire, comm

Connect = Callable[[int], Wire]


def gone(pid: int) -> None:
    until(
        lambda: procs.stat(pid) is None,
        within=PATIENCE,
        what=lambda: f"process {pid} is still there: {procs.stat(pid)}",
    )


def test_a_pod_is_a_process_of_its_own_session_with_the_pods_name(mesh: Watched) -> None:
    pids = [mesh.ready(f"web-{n}").pid for n in range(3)]
    want = [(pid, pid, mesh.supervisor.pid, f"web-{n}") for n, pid in enumerate(pids)]

    def found() -> list[tuple[int, int, int, str]]:
        stats = [one for pid in pids if (one := procs.stat(pid))]
        return [(s.session, s.group, s.parent, comm(s.pid)) for s in stats]

    until(lambda: found() == want, within=PATIENCE, what=lambda: str(found()))


def test_a_pod_holds_no_file_of_the_supervisor_or_of_other_pods(mesh: Watched) -> None:
    mesh.ready("web-0")
    pid = mesh.ready("web-1").pid
    log = str(mesh.log("web-1"))
    want = ["/dev/null", log, log, "anon_inode", "socket", "socket", "socket"]

    def held() -> list[str]:
        """Without the connection that asked whether the port accepts, which may still be open."""
        links = []
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                links.append(os.readlink(f"/proc/{pid}/fd/{number}").partition(":")[0])
        return sorted(links)

    until(lambda: held() == want, within=PATIENCE, what=lambda: str(held()))


def test_events_come_in_order_with_their_time(mesh: Watched) -> None:
    before = time.monotonic_ns()
    mesh.ready()
    mesh.supervisor.stop_pod("web-0")
    mesh.wait("web-0", "exited")
    assert mesh.kinds() == ["started", "ready", "terminating", "exited"]
    times = [event.at_ns for event in mesh.events]
    assert times == sorted(times)
    assert before < times[0] < times[-1] < time.monotonic_ns()


def test_start_can_be_asked_from_many_threads(mesh: Watched) -> None:
    names = [f"web-{n}" for n in range(20)]
    threads = [threading.Thread(target=mesh.start, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in names:
        mesh.wait(name, "ready")
    assert len({event.detail["pid"] for event in mesh.events if event.kind == "started"}) == 20


def test_sigterm_right_after_the_start_finds_a_pod_that_drains(mesh: Watched) -> None:
    for n in range(10):
        mesh.start(f"web-{n}")
        mesh.supervisor.stop_pod(f"web-{n}")
    codes = [mesh.wait(f"web-{n}", "exited").detail["code"] for n in range(10)]
    assert codes == [0] * 10


def test_a_signal_right_after_the_fork_arrives(mesh: Watched) -> None:
    for n in range(10):
        mesh.start(f"web-{n}")
        mesh.supervisor.kill_pod(f"web-{n}")
    for n in range(10):
        mesh.wait(f"web-{n}", "restarted")


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_pod_is_unready_and_comes_back_on_its_port(mesh: Watched, connect: Connect, signum: int) -> None:
    started = mesh.ready()
    mesh.supervisor.kill_pod("web-0", signum)
    mesh.wait("web-0", "ready", nth=2)
    assert mesh.kinds() == ["started", "ready", "unready", "exited", "restarted", "ready"]
    exited = mesh.wait("web-0", "exited").detail
    assert (exited["signal"], exited["code"], exited["final"], exited["restart_in"]) == (signum, None, False, 0.0)
    restarted = mesh.wait("web-0", "restarted").detail
    assert restarted["ports"] == started.ports
    assert restarted["pid"] != started.pid
    assert connect(started.ports[8080]).get().answer()[0] == 200


def test_a_graceful_drain_answers_what_still_comes_and_closes_its_connections(mesh: Watched, connect: Connect) -> None:
    port = mesh.ready(annotations={"meshtest.dev/delay": "100ms"}).ports[8080]
    open_one, in_flight = connect(port), connect(port).get()
    mesh.supervisor.stop_pod("web-0")
    status, headers, _ = in_flight.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert open_one.get().answer()[1]["connection"] == "close"
    assert connect(port).get().answer()[0] == 200, "it still accepts"
    assert mesh.wait("web-0", "exited").detail["code"] == 0


def test_an_abrupt_end_cuts_what_is_in_flight(mesh: Watched, connect: Connect) -> None:
    annotations = {"meshtest.dev/delay": "10s", "meshtest.dev/drain": "abrupt"}
    in_flight = connect(mesh.ready(annotations=annotations).ports[8080]).get()
    mesh.supervisor.stop_pod("web-0")
    assert in_flight.is_cut()
    assert mesh.wait("web-0", "exited").detail["signal"] == signal.SIGTERM


def test_who_ignores_sigterm_is_killed_when_the_grace_period_is_over(mesh: Watched) -> None:
    mesh.ready(annotations={"meshtest.dev/drain": "ignore"})
    mesh.supervisor.stop_pod("web-0", grace=0.2)
    exited = mesh.wait("web-0", "exited")
    assert (exited.detail["signal"], exited.detail["reason"]) == (signal.SIGKILL, "Killed")
    assert exited.detail["why"] == "still running 0.2 s after it was told to stop"
    assert exited.at_ns - mesh.wait("web-0", "terminating").at_ns >= 200_000_000


def test_terminating_is_told_before_pre_stop_and_sigterm_comes_after_it(mesh: Watched, tmp_path: Path) -> None:
    order = tmp_path / "order"
    script = f"trap 'echo term >> {order}; exit 0' TERM; echo up >> {order}; while :; do read x; sleep 0.01; done"
    hook = Handler(kind="exec", command=("sh", "-c", f"echo hook $POD_NAME >> {order}; echo done >> {order}"))
    mesh.start(argv=("sh", "-c", script), ports=(), pre_stop=hook)
    until(
        lambda: order.exists() and order.read_text() == "up\n", within=PATIENCE, what=lambda: "the script does not run"
    )
    mesh.supervisor.stop_pod("web-0")
    mesh.wait("web-0", "exited", code=0)
    assert order.read_text().split("\n") == ["up", "hook web-0", "done", "term", ""]
    assert mesh.kinds()[-2:] == ["terminating", "exited"]


def test_a_failed_hook_is_told_and_changes_nothing(mesh: Watched) -> None:
    mesh.start(argv=("sleep", "60"), ports=(), pre_stop=Handler(kind="exec", command=("sh", "-c", "echo no; exit 3")))
    mesh.wait("web-0", "ready")
    mesh.supervisor.stop_pod("web-0")
    exited = mesh.wait("web-0", "exited").detail
    assert exited["signal"] == signal.SIGTERM
    assert exited["why"] == "preStop hook failed: sh -c echo no; exit 3: exit code 3 | no"


def test_the_hook_of_a_stand_in_lasts_as_long_as_its_command_sleeps(mesh: Watched, connect: Connect) -> None:
    hook = Handler(kind="exec", command=("/bin/sh", "-c", "nginx -s quit; sleep 0.3"))
    port = mesh.ready(pre_stop=hook, annotations={"meshtest.dev/drain": "abrupt"}).ports[8080]
    mesh.supervisor.stop_pod("web-0")
    mesh.wait("web-0", "terminating")
    assert connect(port).get().answer()[0] == 200
    exited = mesh.wait("web-0", "exited")
    assert exited.at_ns - mesh.wait("web-0", "terminating").at_ns >= 300_000_000


def test_an_http_probe_decides_on_readiness(mesh: Watched) -> None:
    probe = Probe(handler=Handler(kind="http", path="/readyz", port="http", headers=(("Host", "x"),)), period=0.05)
    mesh.start(readiness=probe, annotations={"meshtest.dev/ready-after": "300ms"})
    started, ready = mesh.wait("web-0", "started"), mesh.wait("web-0", "ready")
    assert ready.at_ns - started.at_ns >= 300_000_000


def test_a_probe_may_name_a_port_that_is_not_declared_by_number(mesh: Watched) -> None:
    started = mesh.ready(readiness=Probe(handler=Handler(kind="tcp", port=15021)))
    assert set(started.ports) == {8080, 15021}


def test_a_pod_that_hangs_fails_its_liveness_probe_and_is_restarted(mesh: Watched) -> None:
    probe = Probe(handler=Handler(kind="http", port=8080), period=0.05, timeout=0.1, failure_threshold=2)
    pid = mesh.ready(liveness=probe, grace=0.1).pid
    mesh.supervisor.kill_pod("web-0", signal.SIGSTOP)
    exited = mesh.wait("web-0", "exited").detail
    assert exited["why"] == "liveness probe failed: GET / (port 8080): no answer within 0.1 s"
    assert exited["signal"] == signal.SIGKILL
    assert mesh.wait("web-0", "restarted").detail["pid"] != pid


def test_exec_probes_run_in_the_pods_environment(mesh: Watched, tmp_path: Path) -> None:
    flag = tmp_path / "web-0-v1"
    check = Handler(kind="exec", command=("sh", "-c", f'test -e "{tmp_path}/$POD_NAME-$SERVICE_VERSION"'))
    probe = Probe(handler=check, period=0.05, failure_threshold=1)
    mesh.start(argv=("sleep", "60"), ports=(), readiness=probe)
    flag.touch()
    mesh.wait("web-0", "ready")
    flag.unlink()
    unready = mesh.wait("web-0", "unready").detail
    assert unready["reason"] == "Unhealthy"
    assert unready["why"].endswith("exit code 1")
    flag.touch()
    mesh.wait("web-0", "ready", nth=2)


def test_a_crash_loop_is_told_with_its_last_lines(mesh: Watched) -> None:
    mesh.start(argv=("sh", "-c", "echo starting; echo no database >&2; exit 7"))
    loop = mesh.wait("web-0", "exited", reason="CrashLoopBackOff").detail
    assert (loop["code"], loop["restart_in"], loop["log"]) == (7, 10.0, ["starting", "no database"])
    assert mesh.kinds() == ["started", "exited", "restarted", "exited"]
    mesh.supervisor.stop_pod("web-0")
    assert mesh.wait("web-0", "exited", final=True).detail["reason"] == "Error"
    mesh.ready("web-0")


def test_a_stopped_pod_frees_its_name(mesh: Watched) -> None:
    mesh.ready()
    with pytest.raises(ProcessFailed, match="there is a pod 'web-0' already"):
        mesh.start()
    mesh.supervisor.stop_pod("web-0", grace=0)
    mesh.wait("web-0", "exited", final=True)
    mesh.start()
    mesh.wait("web-0", "ready", nth=2)
    with pytest.raises(ProcessFailed, match="no pod 'web-1' runs; running: web-0"):
        mesh.supervisor.stop_pod("web-1")


def test_a_helper_is_spawned_signalled_and_its_end_is_told(mesh: Watched, tmp_path: Path) -> None:
    log = tmp_path / "deep" / "helper.log"
    pid = mesh.supervisor.spawn("helper", ["sh", "-c", "echo $X; exec sleep 60"], log=log, env={"X": "hello"})
    until(lambda: log.read_text() == "hello\n", within=PATIENCE, what=lambda: log.read_text())
    mesh.supervisor.signal(pid, signal.SIGTERM)
    exited = mesh.wait("helper", "exited").detail
    assert (exited["pid"], exited["signal"], exited["log"]) == (pid, signal.SIGTERM, ["hello"])
    with pytest.raises(ProcessFailed, match=r"cannot run \['/no/such'\]: no such file; give a program"):
        mesh.supervisor.spawn("helper", ["/no/such"], log=log)


def test_closing_lets_programs_write_what_they_hold_and_leaves_nobody(tmp_path: Path) -> None:
    watched = Watched(make_runtime_dir(), tmp_path)
    watched.supervisor.start()
    said = tmp_path / "said"
    script = f"trap 'echo bye > {said}; exit 0' TERM; echo up; while :; do sleep 0.01; done"
    pids = [watched.start(f"web-{n}").pid for n in range(3)]
    pids.append(watched.supervisor.spawn("helper", ["sh", "-c", script], log=tmp_path / "helper.log"))
    until(lambda: (tmp_path / "helper.log").read_text() == "up\n", within=PATIENCE, what=lambda: "helper does not run")
    pids.append(watched.supervisor.pid)
    watched.supervisor.close()
    watched.supervisor.close()
    assert said.read_text() == "bye\n"
    assert [procs.stat(pid) for pid in pids] == [None] * 5
    assert not watched.supervisor.directory.exists()
    with pytest.raises(ProviderError, match="the supervisor is closed"):
        watched.start()


def test_a_supervisor_that_was_never_started_says_so_and_can_be_closed(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, print)
    with pytest.raises(ProviderError, match=r"call start\(\) first"):
        supervisor.ping()
    supervisor.close()


def test_a_call_from_on_event_is_refused_instead_of_waiting_for_itself(mesh: Watched) -> None:
    refused: list[str] = []
    original = mesh.supervisor._on_event

    def on_event(event: object) -> None:
        try:
            mesh.supervisor.ping()
        except ProviderError as error:
            refused.append(str(error))
        original(event)  # type: ignore[arg-type]

    mesh.supervisor._on_event = on_event
    mesh.ready()
    assert refused[0] == "ping from on_event would wait for itself; call it from another thread"
