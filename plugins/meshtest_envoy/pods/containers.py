"""What runs in place of a container: the program that the order names, or a fork of the stand-in.

Not here: when it runs (kubelet.py), how a process is made and reaped (children.py), what a stand-in does (standin.py).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from meshtest_envoy.pods import behaviour, environment, folders, forks, logs, standin
from meshtest_envoy.pods.children import CannotRun, Children, Process
from meshtest_envoy.pods.order import Order
from meshtest_envoy.pods.ports import Ports, UnknownPort
from meshtest_envoy.pods.zygote import Zygote

_SLEEP = re.compile(r"\bsleep\s+(\d+(?:\.\d+)?)")


class Containers:
    """Starts containers and runs commands beside them."""

    def __init__(self, children: Children, zygote: Zygote, directory: str, base: Mapping[str, str]) -> None:
        self._children = children
        self._zygote = zygote
        self._directory = directory
        self._base = base

    async def start(self, order: Order, ports: Ports) -> Process:
        """Start what the order says on the pod's ports; CannotRun says why not, before or after the fork."""
        if order.stand_in:
            return await self._fork_stand_in(order, ports)
        return await self._execute(order, ports, order.argv or (), order.log)

    async def command(self, order: Order, ports: Ports, command: tuple[str, ...]) -> str:
        """Run a probe or hook in the pod's environment; "" if it ended with 0, else why not."""
        log = os.path.join(self._directory, "pods", f"{order.name}.exec.log")
        before = logs.size(log)
        try:
            process = await self._execute(order, ports, command, log)
        except CannotRun as error:
            return str(error)
        try:
            ended = await process.exited
        finally:
            process.signal(9)
        if ended.code == 0:
            return ""
        how = f"exit code {ended.code}" if ended.signal is None else f"signal {ended.signal}"
        return " | ".join([f"{' '.join(command)}: {how}", *logs.tail(log, 3, since=before)])

    def clean(self, order: Order) -> None:
        """Remove what belonged to the pod."""
        folders.remove(self._scratch(order))

    async def _execute(self, order: Order, ports: Ports, command: tuple[str, ...], log: str) -> Process:
        scratch = self._scratch(order)
        os.makedirs(scratch, exist_ok=True)
        try:
            argv = environment.substitute(command, order, ports, scratch)
        except UnknownPort as error:
            raise CannotRun(f"command of pod {order.name}: {error}") from None
        if not argv:
            raise CannotRun(f"pod {order.name}: the command is empty")
        return await self._children.execute(order.name, argv, environment.of_pod(self._base, order, ports), log)

    async def _fork_stand_in(self, order: Order, ports: Ports) -> Process:
        try:
            behave = behaviour.read(order.annotations, order.calls)
        except behaviour.BadAnnotation as error:
            raise CannotRun(f"pod {order.name}: {error}") from None
        try:
            listening = ports.listen()
        except OSError as error:
            raise CannotRun(f"pod {order.name} cannot listen: {error}") from None
        files = [one.fileno() for one in listening]

        def start(output: int) -> int:
            return self._zygote.fork(order, output, files) or forks.fork(
                output, files, order.name, lambda: standin.run(order, behave, listening)
            )

        try:
            return await self._children.start(order.name, order.log, start)
        finally:
            for one in listening:
                one.close()

    def _scratch(self, order: Order) -> str:
        return os.path.join(self._directory, "pods", order.name)


def seconds_of_sleep(command: tuple[str, ...]) -> float:
    """How long a hook's command would sleep. A stand-in cannot run commands of the image it stands for; they are found
    neither here nor meant for this machine (`nginx -s quit`!). But a `sleep 5` before SIGTERM matters to a rollout."""
    return sum(float(found) for found in _SLEEP.findall(" ".join(command)))
