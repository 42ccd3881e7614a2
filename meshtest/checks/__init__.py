"""Questions about a History, each a frozen value with a pure answer: PASS, UNKNOWN or FAIL, and why.

One family, one file. `judge` asks several; `from_parameters` makes a check again from what a run folder keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshtest.checks.canary import Canary, canary
from meshtest.checks.canary_latency import CanaryLatency, canary_latency
from meshtest.checks.certificate import Certificate, certificate
from meshtest.checks.fault_bit import FaultBit, fault_bit
from meshtest.checks.latency import Latency, latency
from meshtest.checks.masked import Masked, MaskedOutage, masked, masked_outages
from meshtest.checks.mirrored import Mirrored, mirrored
from meshtest.checks.no_downtime import NoDowntime, no_downtime
from meshtest.checks.outages import Outage, outages
from meshtest.checks.reached import Reached, reached
from meshtest.checks.share import About, Share, about, explain, shares
from meshtest.checks.split import Split, split
from meshtest.checks.split_sequential import SplitSequential, split_sequential
from meshtest.checks.trend import Trend, trend
from meshtest.errors import UsageError
from meshtest.model.history import History
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.spi import registry
from meshtest.spi.check import Check

if TYPE_CHECKING:
    from meshtest.checks.canary_proven import canary_proven as canary_proven
    from meshtest.checks.canary_users import canary_users as canary_users
    from meshtest.checks.traces import traces_complete as traces_complete
    from meshtest.checks.traces_broken import traces_propagated as traces_propagated
    from meshtest.checks.traces_hidden import no_hidden_errors as no_hidden_errors
    from meshtest.checks.traces_path import trace_path as trace_path
    from meshtest.checks.traces_slow import span_duration as span_duration


CHECKS: Mapping[str, type[Any]] = {
    c.name: c
    for c in (
        NoDowntime,
        Split,
        Latency,
        Reached,
        Mirrored,
        FaultBit,
        Masked,
        Canary,
        CanaryLatency,
        SplitSequential,
        Trend,
    )
}

OF_TRACES = {
    "traces_complete": "traces",
    "traces_propagated": "traces_broken",
    "no_hidden_errors": "traces_hidden",
    "span_duration": "traces_slow",
    "trace_path": "traces_path",
}
"""The module of each, imported when asked for: most runs look at no trace."""
LATE = {**OF_TRACES, "canary_users": "canary_users", "canary_proven": "canary_proven"}
"""So are these: most runs rehearse no Canary."""


def __getattr__(name: str) -> Any:
    if name in LATE:
        import importlib

        return getattr(importlib.import_module(f"meshtest.checks.{LATE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def from_parameters(name: str, parameters: Mapping[str, Any]) -> Check:
    """The check of that name, ours or an installed one (entry point group `meshtest.checks`)."""
    known = CHECKS.get(name) or (__getattr__(name) if name in LATE else None)
    kind = known or registry.load("checks", name)
    try:
        check: Check = kind(**parameters)
    except TypeError as error:
        raise UsageError(f"check {name!r} cannot be made of {dict(parameters)!r}: {error}") from None
    return check


def judge(history: History, checks: Sequence[Check]) -> Verdict:
    """All answers together. A record that was cut short proves nothing about what is missing."""
    findings = [check.judge(history) for check in checks]
    if history.truncated:
        findings.append(cut_short(history))
    return Verdict(tuple(findings))


def cut_short(history: History) -> Finding:
    """UNKNOWN at best: what came after the last whole record, nobody knows."""
    last = max((e.at for e in history.events), default=0.0)
    if len(history.requests):
        last = max(last, history.requests[-1].ended_at)
    text = f"the record was cut short (crash or full disk); judged up to t={last:.3f}s"
    return Finding(check="history", outcome=Outcome.UNKNOWN, sentence=text, figures={"until": last})


__all__ = [
    "CHECKS", "OF_TRACES", "About", "Canary", "CanaryLatency", "Certificate", "FaultBit", "Latency", "Masked",
    "MaskedOutage", "Mirrored", "NoDowntime", "Outage", "Reached", "Share", "Split", "SplitSequential", "Trend",
    "about", "canary", "canary_latency", "canary_proven", "canary_users", "certificate", "explain", "fault_bit",
    "from_parameters",
    "judge", "latency", "masked", "masked_outages", "mirrored", "no_downtime", "no_hidden_errors", "outages",
    "reached", "shares", "span_duration", "split", "split_sequential", "trace_path", "traces_complete",
    "traces_propagated", "trend",
]  # fmt: skip
