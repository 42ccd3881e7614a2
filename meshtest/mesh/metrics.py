"""The metrics of one mesh: its proxies' and its pods', together, and the endpoint that tells them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from meshtest.errors import UsageError
from meshtest.spi.telemetry import TellsMetrics, Vocabulary
from meshtest.telemetry import pods
from meshtest.telemetry.endpoint import Endpoint
from meshtest.telemetry.samples import Metrics

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh


class MeshMetrics:
    """Those of one mesh; the endpoint begins with the first that asks for it."""

    def __init__(self, mesh: Mesh) -> None:
        self._mesh = mesh
        self._endpoint: Endpoint | None = None
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        self.teller()
        with self._lock:
            if self._endpoint is None:
                self._endpoint = Endpoint(self.text)
            return self._endpoint.url

    def now(self) -> Metrics:
        return Metrics(self.text())

    def text(self) -> str:
        """Of proxies and pods, in format 0.0.4."""
        proxies = self.teller().metrics(self.vocabulary)
        asked = list(pods.targets(self._mesh.topology, self._mesh.provider.pods()))
        return proxies + pods.text(pods.scrape(asked)) if asked else proxies

    def teller(self) -> TellsMetrics:
        provider = self._mesh.open().provider
        if not isinstance(provider, TellsMetrics):
            raise UsageError(f"the provider {provider.name!r} does not tell the metrics of its proxies")
        return provider

    @property
    def vocabulary(self) -> Vocabulary:
        """Linkerd's in a mesh whose manifests only Linkerd would read, else Istio's."""
        from meshtest.manifests.linkerd import kinds

        return "linkerd" if kinds.first(self._mesh.documents) else "istio"

    def close(self) -> None:
        with self._lock:
            if self._endpoint:
                self._endpoint.close()
                self._endpoint = None
