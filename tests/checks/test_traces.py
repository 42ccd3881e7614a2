"""Checks of traces: a defect is named with its service, and what is not seen proves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from meshtest.checks import (
    OF_TRACES,
    from_parameters,
    no_hidden_errors,
    span_duration,
    trace_path,
    traces_complete,
    traces_propagated,
)
from meshtest.errors import UsageError
from meshtest.model import packing
from meshtest.model.history import Event, History
from meshtest.model.span import Span
from meshtest.model.verdict import Finding, Outcome
from meshtest.run import Run, folder
from meshtest.run.stored import judge_again
from meshtest.settings import Settings
from meshtest.spi.check import Check
from tests.checks.histories import request
from tests.model.spans import Maker, lines
from tests.model.test_traces import dropped, id_of, run, shops

SHOP = ["gateway", "web@v2", "price@v1"]
CHECKS: Sequence[Check] = (
    traces_complete(),
    traces_propagated(),
    no_hidden_errors(),
    span_duration(service="web", below=2.0, p=0.5),
    trace_path(paths=[SHOP]),
)


def good(count: int = 20) -> History:
    return run(shops(count), requests=count)


def lost(history: History, reason: str = "more came than could be written") -> History:
    return replace(history, events=[*history.events, Event(1.0, "spans.dropped", data={"count": 3, "reason": reason})])


def hidden(count: int, code: int = 500, flags: str = "-") -> list[Span]:
    """web answers well although ratings failed."""
    spans: list[Span] = []
    for index in range(count):
        maker = Maker(id_of(index))
        web = maker.call(maker.trace[16:], "client", "web", "v2", 0, 1)
        maker.call(web, "web@v2", "ratings", "v1", 0.1, 0.2, code=code, flags=flags)
        spans += maker.spans
    return spans


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
class TestAll:
    def test_a_whole_and_good_run_passes(self, check: Check) -> None:
        finding = check.judge(good())
        assert finding.outcome is Outcome.PASS, finding

    def test_spans_that_were_dropped_prove_nothing(self, check: Check) -> None:
        finding = check.judge(lost(good()))
        assert (finding.outcome, finding.sentence) == (
            Outcome.UNKNOWN,
            "3 spans were dropped (more came than could be written): what is not in the traces proves nothing",
        )

    def test_no_sampled_request_proves_nothing(self, check: Check) -> None:
        finding = check.judge(run([], sampled=0.0, requests=5))
        assert finding.outcome is Outcome.UNKNOWN
        assert finding.sentence.startswith("none of 5 requests was sampled; ask for all with mesh.load")

    def test_a_collector_that_was_down_proves_nothing(self, check: Check) -> None:
        finding = check.judge(run([], requests=5))
        assert (finding.outcome, finding.sentence) == (
            Outcome.UNKNOWN,
            "none of 5 sampled requests left a span: is the setting `traces` off, or the collector down?",
        )

    def test_a_run_without_requests_proves_nothing(self, check: Check) -> None:
        assert check.judge(History()).sentence == "no request was sent; was a load running?"

    def test_it_is_asked_again_from_what_is_kept(self, check: Check) -> None:
        again = from_parameters(check.name, check.parameters())
        assert again == check
        assert check.name in OF_TRACES
        assert again.judge(good()) == check.judge(good())


class TestComplete:
    def test_what_is_missing_is_told_with_how_often(self) -> None:
        spans = [
            span for span in shops(20) if span.service != "price.default" or not span.trace.endswith(id_of(3)[16:])
        ]
        finding = traces_complete().judge(run(spans, requests=20))
        assert (finding.outcome, finding.sentence) == (
            Outcome.FAIL,
            "1 of 20 traces are incomplete; missing: the ingress span of price, which web@v2 called (1)",
        )
        assert traces_complete(budget=1).judge(run(spans, requests=20)).outcome is Outcome.PASS
        assert traces_complete(budget="4%").judge(run(spans, requests=20)).outcome is Outcome.FAIL

    def test_a_sampled_request_without_any_span_is_missed(self) -> None:
        finding = traces_complete().judge(run(shops(4), requests=5))
        assert finding.sentence == (
            "1 of 5 traces are incomplete; missing: all spans of a request that was sampled (1)"
        )  # fmt: skip

    def test_a_length_of_time_is_no_budget_of_traces(self) -> None:
        with pytest.raises(UsageError, match="a number of traces"):
            traces_complete(budget="5ms")


class TestPropagated:
    def test_who_drops_the_header_is_named(self) -> None:
        finding = traces_propagated().judge(run(dropped(5), requests=5))
        assert (finding.outcome, finding.sentence) == (
            Outcome.FAIL,
            "web did not forward traceparent to reviews: 5 broken traces",
        )

    def test_what_was_seen_counts_though_other_spans_were_dropped(self) -> None:
        assert traces_propagated().judge(lost(run(dropped(5), requests=5))).outcome is Outcome.FAIL

    def test_a_service_that_calls_none_has_proven_nothing(self) -> None:
        (maker := Maker(id_of(0))).call(maker.trace[16:], "client", "web", "v1", 0, 1)
        finding = traces_propagated().judge(run(maker.spans, requests=1))
        assert (finding.outcome, finding.sentence) == (Outcome.UNKNOWN, "no service was seen to call another")


class TestHiddenErrors:
    def test_the_service_that_failed_is_named(self) -> None:
        finding = no_hidden_errors().judge(run(hidden(3), requests=3))
        assert (finding.outcome, finding.sentence) == (
            Outcome.FAIL,
            "3 of 3 good answers hid an error: ratings@v1 (500) in 3, first load-0",
        )

    def test_a_fault_that_was_injected_is_told_as_one(self) -> None:
        finding = no_hidden_errors().judge(run(hidden(1, 503, "FI"), requests=1))
        assert "ratings@v1 (503 FI, abort) in 1" in finding.sentence

    @pytest.mark.parametrize("allowed", ["ratings", ("ratings@v1",)])
    def test_a_service_may_be_allowed_to_fail(self, allowed: str) -> None:
        assert no_hidden_errors(allowed=allowed).judge(run(hidden(3), requests=3)).outcome is Outcome.PASS

    def test_an_error_that_only_a_service_tells(self) -> None:
        maker = Maker(id_of(0))
        web = maker.call(maker.trace[16:], "client", "web", "v2", 0, 1)
        maker.add(web, "web", 0.2, 0.3, source="service", status="error", text="card refused", name="charge")
        finding = no_hidden_errors().judge(run(maker.spans, requests=1))
        assert finding.sentence == "1 of 1 good answer hid an error: web@v2 (charge: card refused) in 1, first load-0"


class TestDuration:
    def test_the_slow_dependency_is_named(self) -> None:
        finding = span_duration(service="web", below=0.5, p=0.5).judge(good())
        assert (finding.outcome, finding.sentence) == (
            Outcome.FAIL,
            "p50 of web is 1.00 s, limit 500 ms; price@v1 took 60 % of that time (600 ms a call, delay injected)",
        )

    def test_the_own_time_is_without_the_calls_it_made(self) -> None:
        check = span_duration(service="web@v2", below=0.5, p=0.5, own=True)
        assert check.judge(good()).sentence == "p50 of the own time of web@v2 is 400 ms, limit 500 ms"

    def test_too_few_calls_prove_nothing(self) -> None:
        finding = span_duration(service="wep", below=1).judge(good())
        assert (finding.outcome, finding.sentence) == (
            Outcome.UNKNOWN,
            "0 calls of wep are too few for p95; it takes 59 (there are: gateway, price@v1, web@v2)",
        )

    @pytest.mark.parametrize("wrong", [{"p": 1.0}, {"below": 0.0}])
    def test_wrong_limits(self, wrong: dict[str, float]) -> None:
        with pytest.raises(UsageError):
            span_duration(**{"service": "web", "below": 1.0, **wrong})  # type: ignore[arg-type]


class TestPath:
    def judged(self, *paths: Sequence[str]) -> Finding:
        return trace_path(paths=paths).judge(good())  # type: ignore[arg-type]

    def test_another_way_is_told(self) -> None:
        finding = self.judged(["gateway", "web@v1"])
        assert (finding.outcome, finding.sentence) == (
            Outcome.FAIL,
            "20 of 20 traces took another way: 20 took gateway > web@v2 > price@v1 (first load-0)",
        )

    def test_one_of_several_ways_and_any_version(self) -> None:
        assert self.judged(["gateway", "web@v1"], ["gateway", "web", "price"]).outcome is Outcome.PASS

    def test_a_path_may_be_given_by_itself(self) -> None:
        assert trace_path(paths=SHOP) == trace_path(paths=[SHOP])  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="trace_path needs paths"):
            trace_path(paths=())


class TestStored:
    def test_a_stored_run_is_judged_again_the_same(self, tmp_path: Path) -> None:
        with Run("canary", Settings(reports=tmp_path), command="pytest", seed=7) as made:
            made.record("load.start", "load", load="load", sampled=1.0)
            sheet = made.directory / "requests" / "load.bin"
            sheet.with_suffix(".names").write_text("web/v2/web-v2-0\n")
            sheet.write_bytes(b"".join(packing.row(request(i, i * 1.0), 1, made.start_ns) for i in range(5)))
            spans = made.directory / folder.SPANS
            spans.write_bytes(lines(shops(5), made.wall_start))
            first = made.judge([traces_complete(), traces_propagated(), trace_path(paths=[SHOP])])
            with spans.open("ab") as file:  # what comes later changes nothing of what was judged
                file.write(lines(dropped(1), made.wall_start))
        assert first.outcome is Outcome.PASS, first
        assert judge_again(made.directory).findings == first.findings
