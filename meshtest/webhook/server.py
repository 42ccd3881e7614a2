"""`meshtest webhook serve`: the application on a socket, until SIGTERM.

Starlette on uvicorn, one process. The endpoint answers some calls a minute and must be right, so what counts is a
router and a server that many use, with few dependencies. CPU of a gate check, measured side by side in a closed loop on
a busy machine: 0.34 ms; of a Starlette application that does nothing else 0.31 ms. h11 in place of httptools costs half
as much again or more; uvloop saves nothing, so that would be one more binary for nothing. At 500 checks a second:
`python -m tests.bench gate`. A second process would need the gates in shared memory, and SQLite has one writer anyway.

    SIGTERM, SIGINT ─► /readyz 503, no run is accepted or begun ─► --drain seconds for those that run
                       ─► the rest is ended, and kept as INTERRUPTED ─► connections are closed ─► exit 0
    a second signal ─► the rest is ended at once
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.errors import PortTaken, UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.webhook.descriptors import Complaints, connections
from meshtest.webhook.renewal import Renewed, watch

if TYPE_CHECKING:
    import uvicorn

    from meshtest.webhook.endpoint import Endpoint

IDLE = 120
"""Seconds a connection may be silent. Go's client closes its own after 90: if we were first, a hook that is sent just
then would meet a closed connection, and fail."""
BACKLOG = 512
_UNIX = "unix:"


@dataclass(frozen=True, kw_only=True)
class Tls:
    """Files in PEM. With `client_ca` only clients with a certificate of it are heard."""

    certificate: Path
    key: Path | None = None
    client_ca: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Serving:
    """How to serve, from the command line."""

    drain: float = 30.0
    header_timeout: float = 10.0
    renewed: tuple[Renewed, ...] = ()
    """Files that are looked at while it serves."""


def listening(address: str) -> socket.socket:
    """`HOST:PORT`, `[::1]:8080`, `:8080`, or `unix:PATH`."""
    if address.startswith(_UNIX):
        return _unix(Path(address.removeprefix(_UNIX)))
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdecimal() or not port.isascii() or int(port) > 65535:
        raise UsageError(f"--listen: {address!r} is no HOST:PORT, as 127.0.0.1:8080, nor unix:PATH")
    try:
        made = socket.create_server(
            (host.strip("[]") or "127.0.0.1", int(port)),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=BACKLOG,
        )  # fmt: skip
        # asyncio sets it for sockets that it made itself only; without it the body of an answer waits for the
        # acknowledgement of its head, 40 ms each time
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error
        raise PortTaken(f"cannot listen on {address}: {why} (choose with --listen)") from None


def _unix(path: Path) -> socket.socket:
    """A socket that nobody listens at any more is in the way; anything else stays."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _is_answered(path):
            path.unlink()
        made.bind(str(path))
        path.chmod(0o600)
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise PortTaken(f"cannot listen on unix:{path}: {error.strerror or error} (choose with --listen)") from None
    return made


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        return True


def url_of(bound: socket.socket, tls: bool) -> str:
    if bound.family == socket.AF_UNIX:
        return f"{_UNIX}{bound.getsockname()}"
    host, port = bound.getsockname()[:2]
    return f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 and later, as Python has it."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(made, tls)
    return made


def load(into: ssl.SSLContext, tls: Tls) -> None:
    """The files as they are now, for connections to come. An authority that was taken out of --client-ca is trusted
    until a restart: OpenSSL adds to what it has."""
    try:
        into.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"--tls-cert {tls.certificate}, --tls-key {tls.key}: {error}") from None
    if tls.client_ca:
        try:
            into.load_verify_locations(tls.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"--client-ca {tls.client_ca}: {error}") from None
        into.verify_mode = ssl.CERT_REQUIRED


def serve(
    endpoint: Endpoint,
    bound: socket.socket,
    serving: Serving,
    secured: ssl.SSLContext | None,
    ready: Callable[[], None],
) -> None:
    """Until a signal has ended it. `ready` is called once calls are answered."""
    path = bound.getsockname() if bound.family == socket.AF_UNIX else None
    try:
        asyncio.run(_serve(endpoint, bound, serving, secured, ready))
    finally:
        bound.close()
        if path:
            with contextlib.suppress(OSError):
                os.unlink(path)


async def _serve(
    endpoint: Endpoint, bound: socket.socket, serving: Serving, secured: ssl.SSLContext | None,
    ready: Callable[[], None],
) -> None:  # fmt: skip
    server = _server(endpoint, serving, secured)
    ending = Ending(endpoint, server, serving.drain)
    endpoint.listen()
    asyncio.get_running_loop().set_exception_handler(Complaints())

    def serving_now() -> None:
        bound.listen(BACKLOG)
        ready()

    with ending.on_signals():
        announcing = asyncio.create_task(_announce(server, serving_now))
        watching = asyncio.create_task(watch(serving.renewed))
        await server.serve(sockets=[bound])
        watching.cancel()
        await announcing
        await ending.done()
    endpoint.close()


def _server(endpoint: Endpoint, serving: Serving, secured: ssl.SSLContext | None) -> uvicorn.Server:
    import uvicorn

    from meshtest.webhook.app import App
    from meshtest.webhook.protocol import LimitedProtocol

    class Protocol(LimitedProtocol):
        within = serving.header_timeout
        most = connections(endpoint.limits.workers)

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Signals drain first: Ending."""
            yield

    config = uvicorn.Config(
        App(endpoint), http=Protocol, ws="none", loop="asyncio", lifespan="off", log_config=None, access_log=False,
        server_header=False, proxy_headers=False, timeout_keep_alive=IDLE,
        # asyncio accepts so many at a time; if there is no file left, it would complain so often, each second
        timeout_graceful_shutdown=5, backlog=1,
    )  # fmt: skip
    config.load()
    config.ssl = secured
    return Server(config)


async def _announce(server: uvicorn.Server, ready: Callable[[], None]) -> None:
    while not server.started and not server.should_exit:
        await asyncio.sleep(0.005)
    if server.started:
        ready()


class Ending:
    """What a signal begins."""

    def __init__(self, endpoint: Endpoint, server: Any, seconds: float) -> None:
        self._endpoint, self._server, self._seconds = endpoint, server, seconds
        self._task: asyncio.Task[None] | None = None
        self._now = asyncio.Event()

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        loop, numbers = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)
        for number in numbers:
            loop.add_signal_handler(number, self._signal)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _signal(self) -> None:
        if self._task:
            self._now.set()
        else:
            self._endpoint.draining = True
            self._task = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        """Calls are answered all the while: verdicts may still come in."""
        draining = asyncio.create_task(asyncio.to_thread(self._endpoint.jobs.drain, self._seconds))
        hurried = asyncio.create_task(self._now.wait())
        await asyncio.wait({draining, hurried}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        await asyncio.to_thread(self._endpoint.jobs.close)
        await draining
        self._server.should_exit = True

    async def done(self) -> None:
        if self._task:
            await self._task
