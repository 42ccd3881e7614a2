"""The requests a stand-in makes itself, through the pod's proxy: HTTP/1.1 on kept connections, HTTP/2 and gRPC on one
of their own each (http2_client.py); never retried.

A retry here would hide from the caller what its mesh did; retries are the mesh's matter (and counted there).
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

from meshtest_envoy.pods.http1 import BadRequest, parse_headers

TIMEOUT = 10.0
"""Seconds for one call, from connecting to the last byte."""
BODY_LIMIT = 1024 * 1024
"""Bytes of an answer that are read; a longer one fails the call."""

PASSED = frozenset((
    "x-request-id", "x-meshtest-id", "traceparent", "tracestate", "baggage", "b3", "x-ot-span-context", "end-user",
    "cookie", "authorization", "user-agent",
))  # fmt: skip
"""Headers that a service passes on, as Istio asks of applications, together with other x-* (not the proxies' own)."""
_PROXYS = ("x-envoy-", "x-forwarded-")
_LOCAL = ("127.0.0.1", "localhost")

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Answer(NamedTuple):
    """What a called service answered."""

    status: int
    body: bytes
    keep: bool
    """The connection can be used again."""


def passed_on(headers: dict[str, str], dropped: tuple[str, ...] = ()) -> dict[str, str]:
    """The headers of a request that go along with the calls made for it."""
    return {
        name: value
        for name, value in headers.items()
        if (name in PASSED or (name.startswith("x-") and not name.startswith(_PROXYS))) and name not in dropped
    }


class Caller:
    """Calls other services; through `proxy` (a URL), except for this host."""

    def __init__(self, proxy: str = "") -> None:
        self._proxy = _address(proxy) if proxy else None
        self._idle: dict[tuple[str, int], list[Connection]] = {}

    async def make(self, call: str, headers: dict[str, str]) -> dict[str, Any]:
        """What the answer to our own caller tells of a call `[METHOD] URL`: url, status (and grpc_status), and who
        answered; or error."""
        method, _, url = call.rpartition(" ")
        told: dict[str, Any] = {"url": url} | ({"method": method} if method else {})
        try:
            async with asyncio.timeout(TIMEOUT):
                if not url.startswith("http://"):
                    return told | await self._over_http2(method or "GET", url, headers)
                answer = await self._exchange(method or "GET", url, headers)
        except TimeoutError:
            return told | {"error": f"no answer within {TIMEOUT:g} s"}
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, BadRequest) as error:
            return told | {"error": _words(error)}
        return told | {"status": answer.status} | _who(answer.body)

    async def _over_http2(self, method: str, url: str, headers: dict[str, str]) -> dict[str, Any]:
        from meshtest_envoy.pods import libraries

        libraries.find()
        from meshtest_envoy.pods import http2_client

        scheme, _, rest = url.partition("://")
        authority, _, path = rest.partition("/")
        is_grpc = scheme == "grpc"
        method = "POST" if is_grpc else method
        address = self._through(_address(url)) or _address(url)
        answer = await http2_client.request(
            address, method, authority, f"/{path}", headers, is_grpc=is_grpc, limit=BODY_LIMIT
        )
        grpc = {"grpc_status": answer.grpc_status} if is_grpc else {}
        return {"status": answer.status, **grpc, **_who(answer.body)}

    def _through(self, direct: tuple[str, int]) -> tuple[str, int] | None:
        """The proxy, unless the other side is on this host."""
        return self._proxy if self._proxy and direct[0] not in _LOCAL else None

    async def _exchange(self, method: str, url: str, headers: dict[str, str]) -> Answer:
        direct = _address(url)
        through = self._through(direct)
        address = through or direct
        reader, writer = await self._connect(address)
        try:
            writer.write(_request(method, url, through is not None, headers))
            answer = await _answer(reader)
        except BaseException:
            writer.close()
            raise
        if answer.keep:
            self._idle.setdefault(address, []).append((reader, writer))
        else:
            writer.close()
        return answer

    async def _connect(self, address: tuple[str, int]) -> Connection:
        """A kept connection that the other side has not closed, or a new one."""
        idle = self._idle.get(address, [])
        while idle:
            reader, writer = idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(*address)


def failed(call: dict[str, Any]) -> str:
    """Why a call counts as failed: no answer, one from 500 up, or a grpc-status that is not 0. "" if it does not."""
    if "error" in call:
        return f"call to {call['url']} failed: {call['error']}"
    if call["status"] >= 500:
        return f"call to {call['url']} was answered {call['status']}"
    if (code := call.get("grpc_status", 0)) != 0:
        return f"call to {call['url']} was answered with grpc-status {'none' if code is None else code}"
    return ""


def _address(url: str) -> tuple[str, int]:
    authority = url.partition("://")[2].partition("/")[0]
    host, _, port = authority.rpartition(":") if ":" in authority else (authority, ":", "80")
    return host, int(port)


def _request(method: str, url: str, absolute: bool, headers: dict[str, str]) -> bytes:
    authority, slash, path = url.removeprefix("http://").partition("/")
    target = url if absolute and slash else f"{url}/" if absolute else f"/{path}"
    lines = [f"{method} {target} HTTP/1.1", f"host: {authority}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if method in ("POST", "PUT", "PATCH"):
        lines.append("content-length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _answer(reader: asyncio.StreamReader) -> Answer:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")[:-4]
        line, _, rest = head.partition("\r\n")
        parts = line.split(" ", 2)
        if len(parts) < 2 or not parts[0].startswith("HTTP/1.") or not parts[1].isdigit():
            raise ValueError(f"{line[:80]!r} is not HTTP")
        if int(parts[1]) >= 200:
            break
    status, headers = int(parts[1]), parse_headers(rest)
    keep = headers.get("connection", "").lower() != "close" and parts[0] == "HTTP/1.1"
    if status in (204, 304):
        return Answer(status, b"", keep)
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return Answer(status, await _chunks(reader), keep)
    if "content-length" in headers:
        length = int(headers["content-length"])
        _limit(length)
        return Answer(status, await reader.readexactly(length), keep)
    return Answer(status, await reader.read(BODY_LIMIT), False)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        _limit(len(body) + size)
        body += await reader.readexactly(size)
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return body


def _limit(size: int) -> None:
    if size > BODY_LIMIT:
        raise ValueError(f"an answer of more than {BODY_LIMIT} bytes")


def _who(body: bytes) -> dict[str, Any]:
    """Who answered, if it was a stand-in."""
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    return {name: told[name] for name in ("service", "version", "pod", "error", "calls") if told.get(name)}


def _words(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "the connection was closed before the answer was complete"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
