"""The sentence a person reads first, and what it says the cause probably was."""

from __future__ import annotations

from typing import Any

import pytest

from meshtest.model.history import Event, History, Hop
from meshtest.model.request import UNKNOWN_SERVER, Fate, Request
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.reporters.html.causes import likely
from meshtest.reporters.html.material import Material
from meshtest.reporters.html.verdict import sentence, warnings
from tests.checks.histories import V1, V2, config, every, history, hop, mixed, request
from tests.reporters.html import samples


def failing(flags: str = "-", events: list[Event] | None = None, **more: Any) -> Material:
    """A hundred requests, of which the last twenty fail."""
    requests = every(0.01, [V1] * 100)
    hops: list[Hop] = []
    for i in range(80, 100):
        requests[i] = request(i, requests[i].at, V1, **({"status": 503} | more))
        hops.append(hop(i, requests[i].at, V1, status=503, flags=flags))
    return Material(samples.report(history(requests, events or [], hops)))


def verdict(outcome: Outcome, text: str, **figures: Any) -> Verdict:
    return Verdict((Finding(check="latency", outcome=outcome, sentence=text, figures=figures),))


class TestSentence:
    def test_says_how_many_what_whom_and_when(self) -> None:
        lead, rest = sentence(failing("UF"))
        assert lead == "20 of 100 requests failed (20 %):"
        assert rest.startswith("all 503 UF; all from web/v1; sent between 0.800 s and 0.990 s. The outage was ")

    def test_of_several_kinds_names_the_most_common(self) -> None:
        requests = every(0.01, [V1] * 10)
        for i, fate in enumerate((Fate.RESET, Fate.RESET, Fate.TIMEOUT)):
            requests[i] = request(i, requests[i].at, fate=fate, late=0.0)
        _, rest = sentence(Material(samples.report(history(requests))))
        assert rest.startswith("reset (2), timeout (1); all from no known server")

    def test_of_a_check_that_is_not_about_failures_is_that_of_the_check(self) -> None:
        past = history([request(0, 0.0), request(1, 0.1, status=503)])
        lead, rest = sentence(Material(samples.report(past, verdict(Outcome.FAIL, "p50 of v2 is 205 ms"))))
        assert (lead, rest) == ("latency: p50 of v2 is 205 ms.", "1 of 2 requests failed (50 %).")

    def test_of_unknown_is_the_reason(self) -> None:
        lead, rest = sentence(Material(samples.report(History(), verdict(Outcome.UNKNOWN, "no request was sent"))))
        assert (lead, rest) == ("latency: no request was sent.", "")

    def test_of_a_pass_with_a_budget_says_what_it_let_through(self) -> None:
        past = history([request(0, 0.0), request(1, 0.1, status=503)])
        lead, _ = sentence(Material(samples.report(past, verdict(Outcome.PASS, "all good"))))
        assert lead == "1 request failed, within what is allowed."

    def test_of_an_error_without_a_check_is_the_error(self) -> None:
        told = samples.report(History(), Verdict(()), about={"error": "KeyError: 'web'", "outcome": "FAIL"})
        assert sentence(Material(told)) == ("The run ended with an error:", "KeyError: 'web'")

    def test_an_error_after_a_pass_is_a_warning(self) -> None:
        told = samples.report(history([request(0, 0.0)]), about={"error": "AssertionError: no"})
        assert "The run itself ended with an error: AssertionError: no" in list(warnings(Material(told)))


class TestCause:
    def test_requests_in_hand_at_sigterm(self) -> None:
        cause = likely(Material(samples.cut()))
        assert cause.startswith("10 requests were under way when web-v1-1 got SIGTERM at 0.795 s; they were cut")
        assert cause.endswith("Change 2 (shift web v2=10) was in force 285 ms earlier")

    def test_an_endpoint_that_was_called_after_it_had_ended(self) -> None:
        stop = [*samples.pods("web-v1-1"), *samples.pods("web-v1-1", at=0.75, kind="pod.exit", code=0)]
        cause = likely(failing("UF", stop))
        assert cause == "the proxies went on calling web-v1-1, up to 241 ms after web-v1-1 had ended"

    def test_nobody_was_ready(self) -> None:
        stop = samples.pods("web-v1-1", at=0.75, kind="pod.unready")
        assert likely(failing("UH", stop)) == (
            "no endpoint was ready (flag UH); the last to leave was web-v1-1 at 0.750 s"
        )

    def test_no_route(self) -> None:
        cause = likely(failing("NR", config(2, 0.7, {"v1": 100})))
        assert cause == "no route leads there (flag NR), after change 2: shift web v2=10"

    @pytest.mark.parametrize(("flag", "words"), [("UO", "circuit breaker"), ("UT", "longer than the route's timeout")])
    def test_by_the_word_of_the_proxy(self, flag: str, words: str) -> None:
        assert words in likely(failing(flag))

    def test_an_injected_fault(self) -> None:
        fault = [
            Event(0.5, "fault.start", "web", {"fault": {"abort": 503, "percent": 30}}),
            Event(1.2, "fault.end", "web"),
        ]
        assert likely(failing("FI", fault)) == "the injected fault in web (abort 503, 30 %), in force from 0.500 s"
        assert "injected fault" in likely(failing("-", fault))

    def test_a_version_that_is_bad_by_itself(self) -> None:
        requests: list[Request] = every(0.01, mixed(v2=50, v1=50))
        bad = [r.index for r in requests if r.server == V2][::5]
        for i in bad:
            requests[i] = request(i, requests[i].at, V2, status=500)
        cause = likely(Material(samples.report(history(requests))))
        assert cause == (
            "web/v2 itself answers with errors: 10 of 50 requests (20 %); web/v1 had none. "
            "It is the version, not the shift"
        )

    def test_where_the_record_does_not_tell_it_is_silent(self) -> None:
        requests = [request(i, i * 0.01, UNKNOWN_SERVER, fate=Fate.TIMEOUT, late=0.0) for i in range(5)]
        assert likely(Material(samples.report(history(requests)))) == ""
        assert likely(Material(samples.good())) == ""
