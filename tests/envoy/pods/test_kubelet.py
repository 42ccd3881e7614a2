"""The life of a pod on a virtual clock, with a container that is no process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy.pods.backoff import BackOff
from meshtest_envoy.pods.children import CannotRun, Exit
from meshtest_envoy.pods.kubelet import Kubelet, NoSuchPod
from meshtest_envoy.pods.order import Handler, Order
from meshtest_envoy.pods.ports import Ports

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class FakeProcess:
    """Ends `ends_after` seconds after SIGTERM; never, if that is None."""

    def __init__(self, pid: int, ends_after: float | None) -> None:
        self.pid = pid
        self.exited: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._ends_after = ends_after
        self.signals: list[tuple[float, int]] = []

    def signal(self, signum: int) -> None:
        loop = asyncio.get_running_loop()
        self.signals.append((round(loop.time(), 3), signum))
        if signum == signal.SIGKILL:
            self.end(Exit(None, signum))
        elif self._ends_after is not None:
            loop.call_later(self._ends_after, self.end, Exit(0, None))

    def end(self, how: Exit) -> None:
        if not self.exited.done():
            self.exited.set_result(how)


class FakeContainers:
    """Starts fake processes, or cannot."""

    def __init__(self, ends_after: float | None = 0.0) -> None:
        self.started: list[FakeProcess] = []
        self.cleaned: list[str] = []
        self.broken = ""
        self._ends_after = ends_after

    async def start(self, order: Order, ports: Ports) -> FakeProcess:
        if self.broken:
            raise CannotRun(self.broken)
        self.started.append(FakeProcess(100 + len(self.started), self._ends_after))
        return self.started[-1]

    def clean(self, order: Order) -> None:
        self.cleaned.append(order.name)


class Told:
    """Events, with their virtual time."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str, dict[str, Any]]] = []

    def __call__(self, kind: str, pod: str, **detail: Any) -> None:
        self.events.append((round(asyncio.get_running_loop().time(), 2), kind, detail))

    @property
    def kinds(self) -> list[tuple[float, str]]:
        return [(at, kind) for at, kind, _ in self.events]


def order(tmp_path: Path, **fields: Any) -> Order:
    return Order(name="web-0", log=str(tmp_path / "log"), **fields)


def test_terminating_is_told_before_the_hook_and_the_hook_ends_before_sigterm(virtually: Run, tmp_path: Path) -> None:
    told, containers = Told(), FakeContainers(ends_after=3)

    async def scenario() -> None:
        kubelet = Kubelet(containers, told)  # type: ignore[arg-type]
        pod = await kubelet.start(order(tmp_path, pre_stop=Handler("sleep", seconds=5), grace=30))
        await asyncio.sleep(1)
        pod.stop(None)
        await asyncio.sleep(60)

    virtually(scenario())
    assert told.kinds == [(0, "started"), (0, "ready"), (1, "terminating"), (9, "exited")]
    assert containers.started[0].signals == [(6, signal.SIGTERM)]
    assert told.events[-1][2] == {
        "pid": 100, "code": 0, "signal": None, "reason": "Completed", "why": "", "final": True,
    }  # fmt: skip
    assert containers.cleaned == ["web-0"]


@pytest.mark.parametrize(
    ("hook", "grace", "term", "kill"),
    [(None, 10.0, 0, 10), (4.0, 10.0, 4, 10), (9.5, 10.0, 9.5, 11.5), (60.0, 10.0, 10, 12)],
)
def test_the_hook_counts_within_the_grace_period_and_two_seconds_are_left(
    virtually: Run, tmp_path: Path, hook: float | None, grace: float, term: float, kill: float
) -> None:
    told, containers = Told(), FakeContainers(ends_after=None)
    pre_stop = None if hook is None else Handler("sleep", seconds=hook)

    async def scenario() -> None:
        pod = await Kubelet(containers, told).start(order(tmp_path, pre_stop=pre_stop, grace=grace))  # type: ignore[arg-type]
        pod.stop(None)
        await asyncio.sleep(100)

    virtually(scenario())
    assert containers.started[0].signals == [(term, signal.SIGTERM), (kill, signal.SIGKILL)]
    assert told.events[-1][2]["reason"] == "Killed"


def test_a_grace_of_zero_kills_at_once(virtually: Run, tmp_path: Path) -> None:
    told, containers = Told(), FakeContainers(ends_after=None)

    async def scenario() -> None:
        pod = await Kubelet(containers, told).start(order(tmp_path, pre_stop=Handler("sleep", seconds=5)))  # type: ignore[arg-type]
        pod.stop(0)
        await asyncio.sleep(1)

    virtually(scenario())
    assert containers.started[0].signals == [(0, signal.SIGKILL)]


def test_a_pod_that_is_told_to_stop_does_not_become_ready_any_more(virtually: Run, tmp_path: Path) -> None:
    told, containers = Told(), FakeContainers(ends_after=1)

    async def scenario() -> None:
        (await Kubelet(containers, told).start(order(tmp_path))).stop(None)  # type: ignore[arg-type]
        await asyncio.sleep(5)

    virtually(scenario())
    assert told.kinds == [(0, "started"), (0, "terminating"), (1, "exited")]


def test_where_time_is_compressed_so_are_the_pauses_of_a_crash_loop() -> None:
    back_off = BackOff(0.1)
    assert [back_off.after(0.0) for _ in range(7)] == pytest.approx([0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.0])
    assert back_off.after(6.0) == 0


def test_a_crashing_container_is_restarted_at_once_and_then_ever_later(virtually: Run, tmp_path: Path) -> None:
    told, containers = Told(), FakeContainers()

    async def scenario() -> None:
        kubelet = Kubelet(containers, told)  # type: ignore[arg-type]
        await kubelet.start(order(tmp_path))
        for count in range(3):
            while len(containers.started) <= count:
                await asyncio.sleep(0.25)
            await asyncio.sleep(1)
            containers.started[-1].end(Exit(1, None))
        await asyncio.sleep(15)
        kubelet.find("web-0").stop(None)
        await asyncio.sleep(1)

    virtually(scenario())
    exits = [(detail["reason"], detail.get("restart_in")) for _, kind, detail in told.events if kind == "exited"]
    assert exits == [("Error", 0.0), ("CrashLoopBackOff", 10.0), ("CrashLoopBackOff", 20.0), ("Error", None)]
    kinds = [kind for _, kind in told.kinds]
    assert kinds[:5] == ["started", "ready", "unready", "exited", "restarted"]
    assert kinds[-2:] == ["terminating", "exited"], "a pod that waits for its restart can be stopped"


def test_a_program_that_vanished_is_told_and_tried_again(virtually: Run, tmp_path: Path) -> None:
    told, containers = Told(), FakeContainers()

    async def scenario() -> None:
        await Kubelet(containers, told).start(order(tmp_path))  # type: ignore[arg-type]
        containers.broken = "cannot run ['x']: no such file"
        containers.started[0].end(Exit(1, None))
        await asyncio.sleep(5)
        containers.broken = ""
        await asyncio.sleep(10)

    virtually(scenario())
    whys = [detail["why"] for _, kind, detail in told.events if kind == "exited"]
    assert whys == ["", "cannot run ['x']: no such file"]
    assert told.kinds[-2:] == [(10, "restarted"), (10, "ready")]


def test_a_name_is_taken_once_and_unknown_names_are_told_with_the_known(virtually: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        kubelet = Kubelet(FakeContainers(), Told())  # type: ignore[arg-type]
        await kubelet.start(order(tmp_path))
        with pytest.raises(CannotRun, match="there is a pod 'web-0' already"):
            await kubelet.start(order(tmp_path))
        with pytest.raises(NoSuchPod, match="no pod 'web-1' runs; running: web-0"):
            kubelet.find("web-1")

    virtually(scenario())
