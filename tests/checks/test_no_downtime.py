"""Did any user notice?"""

from __future__ import annotations

import pytest

from meshtest.checks import no_downtime
from meshtest.model.history import Event
from meshtest.model.request import UNKNOWN_SERVER, Fate
from meshtest.model.verdict import Finding, Outcome
from tests.checks.histories import V1, V2, every, history, hop, request


def test_an_empty_history_proves_nothing() -> None:
    finding = no_downtime().judge(history())
    assert finding.outcome is Outcome.UNKNOWN
    assert "was a load running" in finding.sentence


def test_all_answered_passes_and_says_what_could_have_been_missed() -> None:
    requests = every(0.001, [V1] * 100)
    del requests[50:57]
    finding = no_downtime().judge(history(requests))
    assert finding.outcome is Outcome.PASS
    assert finding.sentence == (
        "93 of 93 requests answered; "
        "no outage longer than 8.0 ms (14 ms if it touched half of the requests) can have been missed"
    )


@pytest.mark.parametrize(
    ("fate", "status", "kind"),
    [
        (Fate.ANSWERED, 503, "503"),
        (Fate.ANSWERED, 500, "500"),
        (Fate.REFUSED, 0, "refused"),
        (Fate.RESET, 0, "reset"),
        (Fate.CLOSED, 0, "closed"),
        (Fate.TIMEOUT, 0, "timeout"),
        (Fate.GARBLED, 0, "garbled"),
    ],
)
def test_one_lost_request_fails_and_says_when_how_and_after_what(fate: Fate, status: int, kind: str) -> None:
    requests = every(0.001, [V1] * 100)
    requests[40] = request(40, 0.040, fate=fate, status=status)
    events = [Event(0.01, "config.ack", data={"number": 3}), Event(0.05, "config.ack", data={"number": 4})]
    finding = no_downtime().judge(history(requests, events))
    assert finding.outcome is Outcome.FAIL
    assert finding.sentence == (
        "1 of 100 failed in 1 outage, longest 1.0 ms (at most 2.0 ms), "
        f"first at t=0.040s ({kind}, 30 ms after config.ack 3)"
    )
    assert finding.figures["failures"][0]["id"] == "load-40"


@pytest.mark.parametrize("status", [400, 404, 429])
def test_an_answer_of_the_service_below_500_is_an_answer(status: int) -> None:
    assert no_downtime().judge(history([request(0, 0.0, status=status)])).outcome is Outcome.PASS


def test_a_404_of_the_proxy_for_lack_of_a_route_is_a_failure() -> None:
    requests = [request(i, i / 100, UNKNOWN_SERVER, status=404) for i in range(2)]
    hops = [hop(0, 0.0, UNKNOWN_SERVER, status=404, flags="NR"), hop(1, 0.01, V1, status=404)]
    finding = no_downtime().judge(history(requests, hops=hops))
    assert finding.outcome is Outcome.FAIL
    assert [f["kind"] for f in finding.figures["failures"]] == ["404 NR"]


def test_flags_of_all_hops_are_shown() -> None:
    requests = [request(0, 0.0, V2, status=503)]
    hops = [hop(0, 0.0, V2, flags="UF,URX"), hop(0, 0.0, V2, "inbound", flags="UF")]
    assert _failure_kind(no_downtime().judge(history(requests, hops=hops))) == "503 UF URX"


def _failure_kind(finding: Finding) -> str:
    return str(finding.figures["failures"][0]["kind"])


def test_failures_cluster_into_outages_with_their_length() -> None:
    requests = every(0.001, [V1] * 2000)
    for i in (*range(100, 120), *range(1500, 1505)):
        requests[i] = request(i, i * 0.001, fate=Fate.RESET)
    figures = no_downtime().judge(history(requests)).figures
    assert [(o["failed"], round(o["start"], 6)) for o in figures["outages"]] == [(20, 0.1), (5, 1.5)]
    assert figures["outages"][0]["seconds"] == pytest.approx(0.020)
    assert figures["outages"][0]["at_most"] == pytest.approx(0.021)
    assert figures["outages"][0]["kinds"] == {"reset": 20}


def test_a_budget_is_spent_before_it_fails() -> None:
    requests = [request(i, i / 100, fate=Fate.RESET if i < 2 else Fate.ANSWERED) for i in range(9)]
    assert no_downtime(budget=1).judge(history(requests)).outcome is Outcome.FAIL
    finding = no_downtime(budget=2).judge(history(requests))
    assert finding.outcome is Outcome.PASS
    assert "2 failed within the budget of 2" in finding.sentence


def test_requests_that_never_left_prove_nothing_about_the_mesh() -> None:
    requests = [*every(0.01, [V1] * 5), request(5, 0.05, fate=Fate.NOT_SENT)]
    finding = no_downtime().judge(history(requests))
    assert finding.outcome is Outcome.UNKNOWN
    assert "1 request did not leave" in finding.sentence


def test_retries_that_users_did_not_notice_are_counted() -> None:
    requests = [request(i, i / 100, attempts=i) for i in range(4)]
    assert no_downtime().judge(history(requests)).figures["retried"] == 2


def test_the_gap_is_that_of_each_load_not_the_time_between_loads() -> None:
    one = [request(i, i / 100, load="one") for i in range(10)]
    two = [request(i, 5 + i / 100, load="two") for i in range(10)]
    assert no_downtime().judge(history([*one, *two])).figures["largest_gap"] == pytest.approx(0.01)


class TestClosedLoop:
    """Users of Locust or k6 wait for their answers: that they saw nothing is no evidence."""

    LOCUST = Event(0.0, "load.start", data={"load": "users", "engine": "locust", "open_loop": False})

    def test_alone_it_proves_nothing(self) -> None:
        requests = [request(i, i / 100, load="users") for i in range(100)]
        finding = no_downtime().judge(history(requests, [self.LOCUST]))
        assert finding.outcome is Outcome.UNKNOWN
        assert finding.sentence.startswith("all requests came from locust, whose users wait for an answer")

    def test_what_it_saw_counts(self) -> None:
        requests = [request(0, 0.0, load="users"), request(1, 0.01, load="users", status=503)]
        assert no_downtime().judge(history(requests, [self.LOCUST])).outcome is Outcome.FAIL

    def test_beside_an_even_rate_that_alone_says_what_could_have_been_missed(self) -> None:
        requests = [*every(0.01, [V1] * 100), request(0, 0.0, load="users"), request(1, 0.9, load="users")]
        finding = no_downtime().judge(history(requests, [self.LOCUST]))
        assert finding.sentence.startswith("102 of 102 requests answered; no outage longer than 10 ms (")
