"""Proxies without a CPU are told of."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.mesh import strain
from meshtest.mesh.strain import Strain
from meshtest.spi.provider import ProxyCpu


def told(ran: float, waited: float, seconds: float = 0.25) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    watch = Strain(lambda: ProxyCpu(0, 0), lambda kind, **data: events.append({"kind": kind, **data}))
    watch._tell(ProxyCpu(1.0, 2.0), ProxyCpu(1.0 + ran, 2.0 + waited), seconds)
    return events


@pytest.mark.parametrize(("ran", "waited"), [(0.1, 0.14), (0.24, 0.0), (0.0, 0.25)])
def test_a_proxy_that_was_never_idle_is_told(ran: float, waited: float) -> None:
    (event,) = told(ran, waited)
    assert event["kind"] == "proxy.starved"
    assert event["waited"] == pytest.approx(waited)


@pytest.mark.parametrize(("ran", "waited"), [(0.1, 0.05), (0.2, 0.0), (0.0, 0.0)])
def test_one_that_had_time_left_is_not(ran: float, waited: float) -> None:
    assert told(ran, waited) == []


def test_it_watches_while_any_load_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strain, "PERIOD", 0.001)
    events: list[str] = []
    asked = iter(range(1_000_000))
    watch = Strain(lambda: ProxyCpu(next(asked), 0.0), lambda kind, **_: events.append(kind))
    watch.begin()
    watch.begin()
    watch.end()
    while not events:
        pass
    watch.end()
    assert watch._thread is None
    assert set(events) == {"proxy.starved"}
