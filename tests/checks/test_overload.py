"""When the machine that tests, not the mesh, was the bottleneck."""

from __future__ import annotations

import pytest

from meshtest.checks import latency, masked, no_downtime
from meshtest.model.history import Event
from meshtest.model.request import UNKNOWN_SERVER, Fate, Request
from meshtest.model.verdict import Outcome
from meshtest.spi.check import Check
from tests.checks.histories import V1, every, history, hop, request

SATURATED = Event(9.0, "load.end", "load", {"saturated": "the sender was 80 ms late"})
CALM = Event(9.0, "load.end", "load", {"saturated": ""})


def lost(fate: Fate, **more: object) -> list[Request]:
    return [*every(0.01, [V1] * 50), request(50, 0.5, fate=fate, latency=1.0, **more)]


@pytest.mark.parametrize("check", [no_downtime(), masked(), latency(p=0.5, below=1.0)], ids=lambda check: check.name)
def test_a_saturated_generator_proves_nothing_good(check: Check) -> None:
    past = history(every(0.01, [V1] * 50), [SATURATED])
    finding = check.judge(past)
    assert finding.outcome is Outcome.UNKNOWN
    assert finding.sentence == "load load was the bottleneck: the sender was 80 ms late"
    assert check.judge(history(every(0.01, [V1] * 50), [CALM])).outcome is Outcome.PASS


def test_its_time_outs_are_no_evidence_against_the_mesh() -> None:
    finding = no_downtime().judge(history(lost(Fate.TIMEOUT), [SATURATED]))
    assert finding.outcome is Outcome.UNKNOWN
    assert "1 request timed out, which proves nothing: load load was the bottleneck" in finding.sentence


@pytest.mark.parametrize("fate", [Fate.RESET, Fate.REFUSED, Fate.CLOSED])
def test_but_somebody_did_reset_it(fate: Fate) -> None:
    assert no_downtime().judge(history(lost(fate), [SATURATED])).outcome is Outcome.FAIL


def test_an_answer_of_the_service_remains_a_failure_and_a_time_out_of_the_proxy_does_not() -> None:
    service = history([*every(0.01, [V1] * 50), request(50, 0.5, V1, status=504)], [SATURATED])
    assert no_downtime().judge(service).outcome is Outcome.FAIL
    hops = [hop(50, 0.5, UNKNOWN_SERVER, status=504, flags="UT")]
    proxy = history(service.requests, [SATURATED], hops)
    assert no_downtime().judge(proxy).outcome is Outcome.UNKNOWN


def test_one_reset_among_time_outs_fails() -> None:
    requests = [*lost(Fate.TIMEOUT), request(51, 0.51, fate=Fate.RESET)]
    assert no_downtime().judge(history(requests, [SATURATED])).outcome is Outcome.FAIL


def test_another_load_that_was_saturated_excuses_nothing() -> None:
    other = Event(9.0, "load.end", "other", SATURATED.data)
    assert no_downtime().judge(history(lost(Fate.TIMEOUT), [other])).outcome is Outcome.FAIL


def starved(at: float, seconds: float) -> Event:
    return Event(at, "proxy.starved", "", {"seconds": seconds, "ran": seconds / 2, "waited": seconds / 2})


def test_time_outs_while_the_proxies_had_no_cpu_prove_nothing() -> None:
    finding = no_downtime().judge(history(lost(Fate.TIMEOUT), [starved(1.2, 0.7)]))
    assert finding.outcome is Outcome.UNKNOWN
    assert "the proxies had no CPU left" in finding.sentence


@pytest.mark.parametrize("event", [starved(0.6, 0.3), starved(3.0, 1.0), CALM])
def test_unless_they_had_it_most_of_the_time(event: Event) -> None:
    assert no_downtime().judge(history(lost(Fate.TIMEOUT), [event])).outcome is Outcome.FAIL


def test_starved_proxies_that_lost_nothing_have_proven_themselves() -> None:
    assert no_downtime().judge(history(every(0.01, [V1] * 50), [starved(0.5, 0.4)])).outcome is Outcome.PASS
