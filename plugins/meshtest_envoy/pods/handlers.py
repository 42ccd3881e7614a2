"""What a probe or a hook does: HTTP GET, gRPC health check, TCP connect, a command, a sleep. "" is success, else the
text says why not.

Commands are not run for a stand-in (see containers.seconds_of_sleep): its exec probe asks whether the first port
accepts, its exec hook lasts as long as the command would sleep.
"""

from __future__ import annotations

import asyncio
import contextlib

from meshtest_envoy.pods import grpc_health
from meshtest_envoy.pods.containers import Containers, seconds_of_sleep
from meshtest_envoy.pods.order import Handler, Order, Probe
from meshtest_envoy.pods.ports import HOST, Ports, UnknownPort

AGENT = "kube-probe/meshtest"
"""Kubernetes sends `kube-probe/1.30`; services tell probes from requests by the beginning."""
BODY = 10 * 1024
"""Bytes of an answer that are read, as in Kubernetes."""


class Handlers:
    """The probes and hooks of one pod."""

    def __init__(self, order: Order, ports: Ports, containers: Containers) -> None:
        self._order, self._ports, self._containers = order, ports, containers

    async def check(self, probe: Probe) -> str:
        """One attempt, within the probe's timeout."""
        try:
            async with asyncio.timeout(probe.timeout):
                return await self._check(probe.handler)
        except TimeoutError:
            return f"{_words(probe.handler)}: no answer within {probe.timeout:g} s"

    async def accepts(self) -> str:
        """Something listens on the first port; a pod without ports has nothing to ask."""
        return "" if self._ports.first is None else await _connect(self._ports.first)

    async def hook(self, handler: Handler, *, within: float) -> str:
        """A preStop hook; Kubernetes cuts it at the end of the grace period."""
        try:
            async with asyncio.timeout(within):
                return await self._hook(handler)
        except TimeoutError:
            return f"{_words(handler)}: cut after {within:g} s, the grace period is over"

    async def _check(self, handler: Handler) -> str:
        if handler.kind == "exec":
            if self._order.stand_in:
                return await self.accepts()
            return await self._containers.command(self._order, self._ports, handler.command)
        try:
            port = self._ports.find(handler.port)
        except UnknownPort as error:
            return str(error)
        if handler.kind == "grpc":
            return await grpc_health.check(HOST, port, handler.path.lstrip("/"), AGENT)
        return await (_connect(port) if handler.kind == "tcp" else _get(port, handler))

    async def _hook(self, handler: Handler) -> str:
        if handler.kind == "sleep":
            await asyncio.sleep(handler.seconds)
            return ""
        if handler.kind == "exec" and self._order.stand_in:
            await asyncio.sleep(seconds_of_sleep(handler.command))
            return ""
        return await self._check(handler)


def _words(handler: Handler) -> str:
    if handler.kind == "exec":
        return " ".join(handler.command)
    return f"GET {handler.path} (port {handler.port})" if handler.kind == "http" else f"{handler.kind} {handler.port}"


async def _connect(port: int) -> str:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError as error:
        return f"connect to port {port}: {error.strerror or error}"
    writer.close()
    return ""


async def _get(port: int, handler: Handler) -> str:
    """200-399 is success, as in Kubernetes; redirects are not followed."""
    what = _words(handler)
    try:
        reader, writer = await asyncio.open_connection(HOST, port)
    except OSError as error:
        return f"{what}: {error.strerror or error}"
    try:
        writer.write(_request(port, handler))
        parts = (await reader.readline()).split(None, 2)
        with contextlib.suppress(OSError):
            await reader.read(BODY)
    except (OSError, ValueError) as error:
        return f"{what}: {error}"
    finally:
        writer.close()
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
        return f"{what}: the answer is not HTTP"
    return "" if 200 <= int(parts[1]) < 400 else f"{what}: answered {int(parts[1])}"


def _request(port: int, handler: Handler) -> bytes:
    headers = {"Host": f"{HOST}:{port}", "User-Agent": AGENT, "Accept": "*/*", "Connection": "close"}
    named = {name.lower(): name for name in headers}
    for name, value in handler.headers:
        headers[named.get(name.lower(), name)] = value
    path = handler.path if handler.path.startswith("/") else f"/{handler.path}"
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
