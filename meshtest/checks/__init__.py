"""Questions about a History, each a frozen value with a pure answer: PASS, UNKNOWN or FAIL, and why.

One family, one file. `judge` asks several; `from_parameters` makes a check again from what a run folder keeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from meshtest.checks.canary import Canary
from meshtest.checks.canary_latency import CanaryLatency
from meshtest.checks.certificate import Certificate, certificate
from meshtest.checks.fault_bit import FaultBit
from meshtest.checks.latency import Latency
from meshtest.checks.masked import Masked, MaskedOutage, masked_outages
from meshtest.checks.mirrored import Mirrored
from meshtest.checks.no_downtime import NoDowntime
from meshtest.checks.outages import Outage, outages
from meshtest.checks.reached import Reached
from meshtest.checks.share import About, Share, explain, shares
from meshtest.checks.split import Split
from meshtest.checks.split_sequential import SplitSequential
from meshtest.checks.trend import Trend
from meshtest.errors import UsageError
from meshtest.model.history import History
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.spi import registry
from meshtest.spi.check import Check

no_downtime = NoDowntime
split = Split
latency = Latency
reached = Reached
mirrored = Mirrored
fault_bit = FaultBit
masked = Masked
canary = Canary
split_sequential = SplitSequential
canary_latency = CanaryLatency
trend = Trend
about = About

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


def from_parameters(name: str, parameters: Mapping[str, Any]) -> Check:
    """The check of that name, ours or an installed one (entry point group `meshtest.checks`)."""
    kind = CHECKS[name] if name in CHECKS else registry.load("checks", name)
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
    "CHECKS", "About", "Canary", "CanaryLatency", "Certificate", "FaultBit", "Latency", "Masked", "MaskedOutage",
    "Mirrored", "NoDowntime", "Outage", "Reached", "Share", "Split", "SplitSequential", "Trend", "about", "canary",
    "canary_latency", "certificate", "explain", "fault_bit", "from_parameters", "judge", "latency", "masked",
    "masked_outages", "mirrored", "no_downtime", "outages", "reached", "shares", "split", "split_sequential", "trend",
]  # fmt: skip
