"""What Flagger reads of a rollout by its own queries, what is so exactly, and what its queries cannot see.

load ──► caller's proxy ──► v1's proxy ──► v1          reporter="destination": the proxies of v1 and v2, and no other
            reporter="source"  └─► v2's proxy ──► v2   app: what v1 and v2 say of themselves at /metrics
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from typing import Any

import pytest

from meshtest import NO_DATA, Mesh

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs prometheus: apt install prometheus")

ISTIO_MS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, math.inf)
LINKERD_MS = (1, 10, 50, 100, 200, 300, 400, 500, 1000, 5000, 10000, math.inf)
TOLD_BY_CALLERS = ('reporter="source",response_code="200"', 'reporter="source"')
WARM_UP = "GET http://web/?codes=200:1,500:1"
"""Success and failure of both versions: a rate knows nothing of what was counted before a series' first scrape."""


@dataclass(frozen=True)
class Window:
    """A load from one scrape to another, so that both ways count the same requests."""

    began: float
    ended: float

    @classmethod
    def of_load(cls, mesh: Mesh) -> Window:
        mesh.load(WARM_UP, rps=200, requests=40).run()
        began = mesh.query("vector(1)")[0].at
        mesh.load("GET http://web/", rps=200, requests=120).run()
        return cls(began, mesh.query("vector(1)")[0].at)

    @property
    def interval(self) -> str:
        """From just before the first scrape: for some versions of Prometheus a range does not hold its own start."""
        return f"{math.ceil((self.ended - self.began) * 1000) + 1}ms"


def assert_same_numbers(mesh: Mesh, window: Window, provider: str, bounds: tuple[float, ...] = ()) -> None:
    """Success rates to the request; p99 within the bucket of the exact one, or beside it if it is at an edge."""
    for version in ("v1", "v2"):
        asked: dict[str, Any] = {
            "provider": provider,
            "target": f"web-{version}",
            "interval": window.interval,
            "at": window.ended,
        }
        seen: dict[str, Any] = {"version": version, "reporter": "destination", "since": window.began}
        exact = mesh.success_rate("web", **seen)
        assert mesh.flagger_metric("request-success-rate", **asked) == pytest.approx(exact, abs=0.01)
        if bounds:
            p99 = 1000 * float(mesh.duration("web", **seen))
            low = max((bound for bound in bounds if bound < 0.8 * p99 - 1), default=0.0)
            high = min(bound for bound in bounds if bound >= 1.2 * p99 + 1)
            assert low - 1 <= mesh.flagger_metric("request-duration", **asked) <= high


@pytest.mark.mesh_apply("metrics.yaml")
def test_flaggers_queries_for_istio_and_gateway_api_read_what_is_so(mesh: Mesh) -> None:
    window = Window.of_load(mesh)
    assert_same_numbers(mesh, window, "istio", ISTIO_MS)
    assert_same_numbers(mesh, window, "gatewayapi:v1")
    asked: dict[str, Any] = {"provider": "gatewayapi:v1", "interval": window.interval, "at": window.ended}
    assert mesh.flagger_metric("request-duration", target="web-v2", **asked) >= 25, "told by v2 itself, in ms"
    assert mesh.success_rate("web@v1", since=window.began) == 100
    assert 50 < mesh.success_rate("web@v2", since=window.began) < 100


@pytest.mark.mesh_apply("metrics_linkerd.yaml")
def test_flaggers_queries_for_linkerd_read_what_is_so(mesh: Mesh) -> None:
    assert_same_numbers(mesh, Window.of_load(mesh), "linkerd", LINKERD_MS)


@pytest.mark.mesh_apply("metrics.yaml")
def test_what_never_reached_a_pod_is_hidden_from_flagger(mesh: Mesh) -> None:
    """Istio's builtin query reads reporter="destination": for it a canary that users cannot reach does not fail."""
    mesh["web"]["v2"].scale(0)
    window = Window.of_load(mesh)
    asked: dict[str, Any] = {"interval": window.interval, "at": window.ended}

    users = mesh.success_rate("web", since=window.began)
    assert 20 < users < 80, "half of them were sent to v2, where nobody is"
    assert mesh.success_rate("web", reporter="destination", since=window.began) == 100
    assert mesh.flagger_metric("request-success-rate", target="web.*", **asked) == 100
    assert mesh.flagger_metric("request-success-rate", target="web-v2", **asked) == NO_DATA

    answered, sent = (
        f"sum(increase(istio_requests_total{{{labels}}}[{window.interval}]))" for labels in TOLD_BY_CALLERS
    )
    seen = mesh.query(f"100 * {answered} / {sent}", at=window.ended)
    assert seen == pytest.approx(float(users), abs=0.01), "the callers' proxies know"
