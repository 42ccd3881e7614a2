"""The last step of a change: see with our own eyes that Envoy's worker has it.

The ACK comes from Envoy's main thread, which then hands the update to the worker that serves requests; on a busy
machine the worker was seen 0.1 to 0.35 s behind it. So every configuration carries its number as a host of its own in
the client's routes, and a change is in force when a request to that host is answered with the number.
"""

from __future__ import annotations

import http.client
from typing import Any

from meshtest.errors import ProviderError
from meshtest.lib import wait
from meshtest_envoy.xds.clusters import Json
from meshtest_envoy.xds.names import MARKER_HOST
from meshtest_envoy.xds.snapshot import Resources


def marked(routes: Resources, name: str, generation: int) -> Resources:
    """The route configurations, one of them with the marker."""
    answer = {"status": 200, "body": {"inline_string": str(generation)}}
    route = {"name": "generation", "match": {"prefix": "/"}, "direct_response": answer}
    host: Json = {"name": "generation", "domains": [MARKER_HOST], "routes": [route]}
    configuration: dict[str, Any] = routes[name]
    return {**routes, name: {**configuration, "virtual_hosts": [host, *configuration["virtual_hosts"]]}}


class Barrier:
    """Asks through the client's listener, over one connection that is kept."""

    def __init__(self) -> None:
        self._connection: http.client.HTTPConnection | None = None
        self._port = 0

    def pass_(self, port: int, generation: int, *, within: float) -> None:
        """Return when the worker serves this generation; ProviderError if it does not in time."""
        self._aim(port)
        seen = ""

        def reached() -> bool:
            nonlocal seen
            seen = self._ask()
            return seen == str(generation)

        try:
            wait.until(reached, within=within, what=str, every=0.0005)
        except TimeoutError:
            text = f"acknowledged configuration {generation}, but its worker still serves {seen or 'nothing'}"
            raise ProviderError(f"Envoy {text} after {within:g} s") from None
        # what was handed over in the same go may come right behind the marker: one more turn of the worker's loop
        self._ask()

    def _aim(self, port: int) -> None:
        if port != self._port:
            self.close()
            self._port = port

    def _ask(self) -> str:
        """The generation that the worker serves; "" if it cannot be asked just now."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2.0)
        try:
            self._connection.request("GET", "/", headers={"host": MARKER_HOST})
            return self._connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException):
            self.close()
            return ""

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
