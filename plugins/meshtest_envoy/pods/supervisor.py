"""The parent of everything a mesh runs: `python -I -S`, one thread, one asyncio loop, standard library only.

It lives as long as its runner: when the control channel ends, or the runner's pidfd says that it is gone, every
process below is killed and the runtime folder removed. A SIGKILL of the supervisor itself takes its children along
(parent-death signal); what then is left, heal() finds in the ledger. Ctrl-C is the runner's business: the supervisor
has a session of its own and ignores SIGINT and SIGHUP; SIGTERM ends it in good order.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import time
from typing import Any

from meshtest_envoy.pods import folders, libraries, linux, logs
from meshtest_envoy.pods.channel import Channel
from meshtest_envoy.pods.children import CannotRun, Children, Process
from meshtest_envoy.pods.containers import Containers
from meshtest_envoy.pods.kubelet import Kubelet, NoSuchPod
from meshtest_envoy.pods.ledger import Ledger
from meshtest_envoy.pods.order import from_wire
from meshtest_envoy.pods.ports import UnknownPort
from meshtest_envoy.pods.zygote import Zygote

CLOSE_GRACE = 1.0
"""Seconds for programs to end after SIGTERM when the run is over; Envoy needs 10 ms to write its logs."""
KILL_TIME = 0.8
"""Seconds to wait for killed processes; only one that hangs in the kernel needs more than some milliseconds."""


def main(descriptor: int, directory: str, runner: int, runner_start: int, found: list[str]) -> None:
    """Serve the runner on this socket until it is gone; `found`: folders of libraries (libraries.py)."""
    libraries.are_in(found)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    linux.adopt_orphans()
    linux.set_name("meshtest-super")
    gc.collect()
    gc.freeze()  # forks share these pages as long as the collector does not write into them
    zygote = Zygote()
    asyncio.run(_serve(socket.socket(fileno=descriptor), zygote, directory, (runner, runner_start)))


async def _serve(channel: socket.socket, zygote: Zygote, directory: str, runner: tuple[int, int]) -> None:
    supervisor = Supervisor(zygote, directory, Ledger(directory, runner))
    await supervisor.serve(channel, runner[0])


class Supervisor:
    """Turns requests of the runner into processes, and what becomes of these into events."""

    def __init__(self, zygote: Zygote, directory: str, ledger: Ledger) -> None:
        loop = asyncio.get_running_loop()
        self._directory = directory
        self._over: asyncio.Future[bool] = loop.create_future()
        """Done when it is time to end: True in good order, False at once."""
        self._channel = Channel(self._accept, lambda: self._end(False))
        self._children = Children(loop, ledger, directory)
        self._containers = Containers(self._children, zygote, directory, dict(os.environ))
        self._kubelet = Kubelet(self._containers, self._emit)
        self._helpers: dict[str, Process] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = 0
        ledger.supervisor_is(os.getpid())

    async def serve(self, channel: socket.socket, runner: int) -> None:
        """Until the runner says so, or is gone."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end, True)
        self._watch_runner(runner)
        await loop.connect_accepted_socket(lambda: self._channel, channel)
        gracefully = await self._over
        self._kubelet.forget_all()
        if gracefully:
            await self._terminate()
        await self._kill()
        folders.remove_runtime(self._directory)
        if self._closing:
            self._channel.send({"id": self._closing, "result": {}})

    def _watch_runner(self, runner: int) -> None:
        """The channel's end alone would not tell if another process inherited the runner's side of it."""
        if os.getppid() != runner:
            self._end(False)
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(OSError):
                asyncio.get_running_loop().add_reader(os.pidfd_open(runner), self._end, False)

    def _end(self, gracefully: bool) -> None:
        if not self._over.done():
            self._over.set_result(gracefully)

    async def _terminate(self) -> None:
        """SIGTERM to programs, so that they write what they hold; a stand-in holds nothing and drains for too long."""
        programs = [process for process in self._children.running if process.container]
        for process in programs:
            process.signal(signal.SIGTERM)
            process.signal(signal.SIGCONT)
        if programs:
            await asyncio.wait([process.exited for process in programs], timeout=CLOSE_GRACE)

    async def _kill(self) -> None:
        """Again and again, as orphans of the killed become ours, until nobody is left."""
        deadline = time.monotonic() + KILL_TIME
        self._children.kill_all()
        while not self._children.nobody_left() and time.monotonic() < deadline:
            await asyncio.sleep(0.002)
            self._children.kill_all()

    def _emit(self, kind: str, pod: str, **detail: Any) -> None:
        if not self._over.done():
            self._channel.send({"event": kind, "pod": pod, "at": time.monotonic_ns(), "detail": detail})

    def _accept(self, request: dict[str, Any]) -> None:
        task = asyncio.get_running_loop().create_task(self._handle(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, request: dict[str, Any]) -> None:
        number = request.pop("id")
        operation = getattr(self, f"do_{request.pop('do')}")
        try:
            result = await operation(number, **request)
        except (CannotRun, NoSuchPod, UnknownPort, OSError) as error:
            self._channel.send({"id": number, "error": str(error)})
        else:
            if result is not None:
                self._channel.send({"id": number, "result": result})

    async def do_ping(self, number: int) -> dict[str, Any]:
        """Says that the supervisor is up."""
        return {"pid": os.getpid()}

    async def do_close(self, number: int) -> None:
        """End in good order; the answer comes when everything is gone."""
        self._closing = number
        self._end(True)

    async def do_start_pod(self, number: int, pod: dict[str, Any]) -> dict[str, Any]:
        """Start a pod; the answer comes when its process runs."""
        started = await self._kubelet.start(from_wire(pod))
        return {"pid": started.process.pid, "ports": started.ports.real}

    async def do_stop_pod(self, number: int, name: str, grace: float | None) -> dict[str, Any]:
        """Begin to terminate a pod."""
        self._kubelet.find(name).stop(grace)
        return {}

    async def do_signal(self, number: int, target: str | int, signum: int) -> dict[str, Any]:
        """Send a signal to a pod, a helper, or any child by its pid."""
        self._find(target).signal(signum)
        return {}

    async def do_spawn(
        self, number: int, name: str, argv: list[str], log: str, env: dict[str, str] | None
    ) -> dict[str, Any]:
        """Run a helper such as Envoy: a program without the life of a pod."""
        if name in self._helpers:
            raise CannotRun(f"there is a process {name!r} already")
        at = logs.size(log)
        process = await self._children.execute(name, argv, {**os.environ, **(env or {})}, log)
        self._helpers[name] = process
        process.exited.add_done_callback(lambda _: self._helper_ended(process, log, at))
        return {"pid": process.pid}

    def _helper_ended(self, process: Process, log: str, at: int) -> None:
        self._helpers.pop(process.name, None)
        ended = process.exited.result()
        reason = "Completed" if ended.code == 0 else "Error"
        detail = {"pid": process.pid, "code": ended.code, "signal": ended.signal, "reason": reason, "final": True}
        self._emit("exited", process.name, **detail, log=logs.tail(log, since=at))

    def _find(self, target: str | int) -> Process:
        if isinstance(target, str):
            return self._helpers.get(target) or self._kubelet.find(target).process
        for process in self._children.running:
            if process.pid == target:
                return process
        raise NoSuchPod(f"no child of the supervisor has pid {target}")
