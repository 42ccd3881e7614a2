"""The life of each pod, as a kubelet leads it: start, probes, restarts with back-off, termination.

   started ──► ready ◄──► unready          any of them ──► terminating ──► exited (final)
      ▲          │                                          │
      │          ▼ the container ends by itself,            └ preStop, SIGTERM, rest of the grace period, SIGKILL
  restarted ◄─ exited (restart_in)    or liveness kills it

`terminating` is told first, so that the endpoint can be taken out while preStop runs. Only the first process gets
SIGTERM, as in a container. Times come from the loop. Not here: what runs (containers.py), what a probe's answer means
(probing.py).
"""

from __future__ import annotations

import asyncio
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

from meshtest_envoy.pods import logs, ports
from meshtest_envoy.pods.backoff import FIRST, BackOff
from meshtest_envoy.pods.behaviour import OOM_KILLED, PREFIX, BadAnnotation, seconds
from meshtest_envoy.pods.children import CannotRun, Exit, Process
from meshtest_envoy.pods.containers import Containers
from meshtest_envoy.pods.handlers import Handlers
from meshtest_envoy.pods.order import Order
from meshtest_envoy.pods.probing import Probes, watch

Emit = Callable[..., None]
"""emit(kind, pod, **detail)"""

AFTER_HOOK = 2.0
"""Seconds between SIGTERM and SIGKILL that a preStop hook cannot use up (kubelet: minimumGracePeriodInSeconds)."""
RETRIES = 3
"""New ports for a program that found its address in use."""
_IN_USE = ("address already in use", "address in use", "eaddrinuse", "errno 98", "port is already allocated")


class NoSuchPod(Exception):
    """There is no pod of that name (any more)."""


class Pod:
    """One pod, from its first start to its last exit."""

    def __init__(self, order: Order, containers: Containers, emit: Emit) -> None:
        self.order = order
        self.ports = ports.of(order)
        self.process: Process
        self.restarts = 0
        self._containers = containers
        self._handlers = Handlers(order, self.ports, containers)
        self._tell = emit
        self._stop: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._ready = False
        self._was_ready = False
        self._moved = 0
        self._why = ""
        self._back_off = BackOff(_first_pause(order))
        self._began = 0.0
        self._log_at = 0

    async def start(self) -> None:
        """The first start; CannotRun if there is nothing to run."""
        self.ports.assign()
        try:
            await self._run()
        except CannotRun:
            self.ports.release()
            raise
        self._emit("started", pid=self.process.pid, ports=self.ports.real)

    async def live(self) -> None:
        """Everything after the first start."""
        try:
            while True:
                ended = await self._one_life()
                if self._stop.done() or not await self._restart(ended):
                    return
        finally:
            self.ports.release()
            self._containers.clean(self.order)

    def stop(self, grace: float | None) -> None:
        """Begin the termination; a second call changes nothing."""
        if not self._stop.done():
            grace = self.order.grace if grace is None else grace
            self._emit("terminating", pid=self.process.pid, grace=grace)
            self._stop.set_result(grace)

    async def _run(self) -> None:
        self._began = asyncio.get_running_loop().time()
        self._log_at = logs.size(self.order.log)
        self._ready = self._was_ready = False
        self._why = ""
        self.process = await self._containers.start(self.order, self.ports)

    async def _one_life(self) -> Exit:
        """Until the process ended: by itself, because a probe says so, or because the pod is to stop."""
        order = self.order
        probes = asyncio.ensure_future(
            watch(Probes(order.startup, order.readiness, order.liveness), self._handlers, self._set_ready)
        )
        try:
            await _first(self.process.exited, probes, self._stop)
            if probes.done() and not self.process.exited.done():
                self._why = probes.result()
        finally:
            probes.cancel()
        if not self.process.exited.done():
            await self._end(self._stop.result() if self._stop.done() else order.grace)
        ended = await self.process.exited
        if self._stop.done():
            self._emit_exit(ended, self._outcome(ended), final=True)
        return ended

    def _set_ready(self, now: bool, why: str) -> None:
        if self._stop.done():  # the endpoint is out for good
            return
        self._ready = now
        self._was_ready |= now
        if now:
            self._emit("ready", pid=self.process.pid, ports=self.ports.real)
        else:
            self._emit("unready", pid=self.process.pid, reason="Unhealthy", why=why)

    async def _end(self, grace: float) -> None:
        """preStop within the grace period, SIGTERM, what is left of it, SIGKILL. A grace of 0 is SIGKILL at once."""
        left = grace
        if self.order.pre_stop is not None and grace > 0:
            left = max(grace - await self._pre_stop(grace), AFTER_HOOK)
        if left > 0:
            self.process.signal(signal.SIGTERM)
            await asyncio.wait({self.process.exited}, timeout=left)
        if not self.process.exited.done():
            self._why = self._why or f"still running {grace:g} s after it was told to stop"
            self.process.signal(signal.SIGKILL)

    async def _pre_stop(self, grace: float) -> float:
        """Seconds that the hook took. Its failure is told and otherwise changes nothing, as in Kubernetes."""
        assert self.order.pre_stop is not None
        loop = asyncio.get_running_loop()
        began = loop.time()
        hook = asyncio.ensure_future(self._handlers.hook(self.order.pre_stop, within=grace))
        await _first(hook, self.process.exited)
        if hook.done() and (problem := hook.result()):
            self._why = f"preStop hook failed: {problem}"
        hook.cancel()
        return loop.time() - began

    async def _restart(self, ended: Exit) -> bool:
        """Wait for as long as the back-off says and run again; False if the pod was told to stop meanwhile."""
        loop = asyncio.get_running_loop()
        if self._ready:
            self._emit("unready", pid=self.process.pid, reason="ContainerExited", why=self._why or "it exited")
        while not self._stop.done():
            if moved := self._address_in_use():
                self.ports.assign(hold=False)
            pause = 0.0 if moved else self._back_off.after(loop.time() - self._began)
            reason = "AddressInUse" if moved else "CrashLoopBackOff" if pause else self._outcome(ended)
            self._emit_exit(ended, reason, final=False, restart_in=pause)
            await asyncio.wait({self._stop}, timeout=pause)
            if self._stop.done():
                break
            try:
                await self._run()
            except CannotRun as error:
                ended, self._why = Exit(127, None), str(error)
                continue
            self.restarts += not moved
            self._emit("restarted", pid=self.process.pid, ports=self.ports.real, count=self.restarts)
            return True
        self._emit_exit(ended, self._outcome(ended), final=True)
        return False

    def _outcome(self, ended: Exit) -> str:
        if self._why and ended.signal == signal.SIGKILL:
            return "Killed"
        if self.order.stand_in and ended.code == OOM_KILLED:
            return "OOMKilled"
        return "Completed" if ended.code == 0 else "Error"

    def _address_in_use(self) -> bool:
        """The program never accepted, and says that someone else has its port."""
        if self.order.stand_in or self._was_ready or self._moved >= RETRIES:
            return False
        said = "\n".join(logs.tail(self.order.log, 20, since=self._log_at)).lower()
        found = any(text in said for text in _IN_USE)
        self._moved += found
        return found

    def _emit_exit(self, ended: Exit, reason: str, *, final: bool, **more: Any) -> None:
        detail = {"pid": self.process.pid, "code": ended.code, "signal": ended.signal, "final": final, **more}
        if ended.code != 0:
            detail["log"] = logs.tail(self.order.log, since=self._log_at)
        self._emit("exited", reason=reason, why=self._why, **detail)

    def _emit(self, kind: str, **detail: Any) -> None:
        self._tell(kind, self.order.name, **detail)


class Kubelet:
    """All pods, by name."""

    def __init__(self, containers: Containers, emit: Emit) -> None:
        self._containers = containers
        self._emit = emit
        self._pods: dict[str, Pod] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}

    async def start(self, order: Order) -> Pod:
        """Returns when the process runs; whether it is ready, an event tells."""
        if order.name in self._pods:
            raise CannotRun(f"there is a pod {order.name!r} already")
        pod = self._pods[order.name] = Pod(order, self._containers, self._emit)
        try:
            await pod.start()
        except BaseException:
            del self._pods[order.name]
            raise
        life = asyncio.ensure_future(pod.live())
        self._lives[order.name] = life
        life.add_done_callback(lambda task: self._over(pod, task))
        return pod

    def find(self, name: str) -> Pod:
        if name not in self._lives:
            raise NoSuchPod(f"no pod {name!r} runs; running: {', '.join(self._lives) or 'none'}")
        return self._pods[name]

    def forget_all(self) -> None:
        """Leave the processes to whoever ends them all."""
        for life in self._lives.values():
            life.cancel()

    def _over(self, pod: Pod, life: asyncio.Task[None]) -> None:
        self._pods.pop(pod.order.name, None)
        self._lives.pop(pod.order.name, None)
        if not life.cancelled() and (error := life.exception()) is not None:
            traceback.print_exception(error, file=sys.stderr)
            pod.process.signal(signal.SIGKILL)
            self._emit(
                "exited", pod.order.name, pid=pod.process.pid, reason="InternalError", why=repr(error), final=True
            )


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


def _first_pause(order: Order) -> float:
    """Of its CrashLoopBackOff."""
    told = order.annotations.get(f"{PREFIX}back-off", "")
    try:
        return seconds(told.strip(), "back-off") if told else FIRST
    except BadAnnotation as error:
        raise CannotRun(f"pod {order.name}: annotation {PREFIX}{error}") from None
