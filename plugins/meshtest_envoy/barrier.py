"""The last step of a change: see with our own eyes that Envoy's worker has it.

The ACK comes from Envoy's main thread, which then hands the update to the worker that serves requests; on a busy
machine the worker was seen 0.1 to 0.35 s behind it. So every configuration has its number in routes of its own, behind
a listener of its own that no EnvoyFilter reaches, and a change is in force when a request there is answered with the
number.
"""

from __future__ import annotations

import http.client
import socket
import time
from dataclasses import replace
from pathlib import Path

from meshtest.errors import ProviderError
from meshtest.lib import wait
from meshtest_envoy.xds import listeners
from meshtest_envoy.xds.resources import Json
from meshtest_envoy.xds.routes import route_configuration
from meshtest_envoy.xds.snapshot import Snapshot

NAME = "meshtest.generation"
"""Of the listener, and of its route configuration."""


def numbered(goal: Snapshot, generation: int, socket: Path) -> Snapshot:
    """The configuration with its number."""
    answer = {"status": 200, "body": {"inline_string": str(generation)}}
    route = {"name": "generation", "match": {"prefix": "/"}, "direct_response": answer}
    host: Json = {"name": "generation", "domains": ["*"], "routes": [route]}
    routes = route_configuration(NAME, [host], any_port=True)
    http = {"filters": [listeners.http_filter_of(listeners.manager(NAME, NAME, ()))]}
    listener = listeners.listener(NAME, {"pipe": {"path": str(socket)}}, [http])
    return replace(
        goal,
        listeners={**goal.listeners, NAME: listener},
        routes={**goal.routes, NAME: routes},
    )


class _Connection(http.client.HTTPConnection):
    """Over a unix socket."""

    def wait(self, seconds: float) -> None:
        """From now on, so long for an answer."""
        self.timeout = seconds
        if self.sock is not None:
            self.sock.settimeout(seconds)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


class Barrier:
    """Asks over one connection that is kept."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: _Connection | None = None

    def pass_(self, generation: int, *, within: float) -> None:
        """Return when the worker serves this generation; ProviderError if it does not in time."""
        seen = ""
        deadline = time.monotonic() + within

        def reached() -> bool:
            nonlocal seen
            # a worker with much to do answers late: whoever hangs up and asks again stands at the end of its queue
            seen = self._ask(max(0.1, deadline - time.monotonic()))
            return seen == str(generation)

        try:
            wait.until(reached, within=within, what=str, every=0.0005)
        except TimeoutError:
            text = f"acknowledged configuration {generation}, but its worker still serves {seen or 'nothing'}"
            raise ProviderError(f"Envoy {text} after {within:g} s") from None
        # what was handed over in the same go may come right behind the marker: one more turn of the worker's loop
        self._ask(within)

    def _ask(self, patience: float) -> str:
        """The generation that the worker serves; "" if it cannot be asked just now."""
        if self._connection is None:
            self._connection = _Connection(str(self.path))
        try:
            self._connection.wait(patience)
            self._connection.request("GET", "/", headers={"host": NAME})
            return self._connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            self.close()
            return ""

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
