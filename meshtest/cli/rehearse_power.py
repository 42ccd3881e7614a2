"""The chances of a Canary, for `meshtest rehearse --plan`: what its analysis can tell apart at the traffic it gets."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from meshtest.errors import UsageError
from meshtest.lib.figures import chance, clock, percent

if TYPE_CHECKING:
    from meshtest.model.document import Document, Documents
    from meshtest.rollouts.canary.limits import Limit
    from meshtest.rollouts.canary.plan import Plan
    from meshtest.rollouts.canary.power import Chances, Power
    from meshtest.rollouts.canary.traffic import Traffic

INDENT = "  "
HINT = (f"{INDENT}chances  unknown without traffic: add --traffic 'GET / 50rps', or the annotation meshtest.dev/rps",)
_TRAFFIC = re.compile(r"(?:.*\s)?(\d+(?:\.\d+)?)\s*(?:rps|/s)")
_SHARE = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")


def arguments(parser: argparse.ArgumentParser) -> None:
    told = "share of failed requests of a {} version, `3%%` (default: {} times what the metrics tolerate)"
    parser.add_argument("--bad", metavar="SHARE", help=told.format("bad", "three"))
    parser.add_argument("--good", metavar="SHARE", help=told.format("good", "0.1"))


def power_of(plan: Plan, document: Document, documents: Documents, arguments: argparse.Namespace) -> Power | None:
    """None where the traffic is not known, or no metric is understood."""
    from meshtest.rollouts.canary.traffic import declared

    told = declared(document)
    if arguments.traffic:
        told = _with_users(told, rate_of(arguments.traffic))
    if told is None:
        return None
    from meshtest.rollouts.canary.power import power

    return power(
        plan.canary, told, documents, bad=_share(arguments.bad, "--bad"), good=_share(arguments.good, "--good")
    )  # fmt: skip


def _with_users(told: Traffic | None, rps: float) -> Traffic:
    from meshtest.rollouts.canary.traffic import Traffic

    return Traffic(rps=rps) if told is None else replace(told, rps=rps)


def rate_of(text: str) -> float:
    """`GET /checkout 50rps` -> 50."""
    found = _TRAFFIC.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise UsageError(f"--traffic {text!r}: it ends with a rate, as in 'GET / 50rps'")
    return float(found[1])


def _share(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    found = _SHARE.fullmatch(text.strip())
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= value <= 1:
        raise UsageError(f"{option} {text!r}: a share of requests is wanted, `3%` or 0.03")
    return value


def lines(power: Power) -> Iterator[str]:
    yield from _head(power)
    failing = "fails" if power.kind == "errors" else "is slow"
    yield f"{INDENT}{failing:>9} {'promoted':>10} {'rolled back':>12} {'intervals':>10}   users who pay"
    for chances in power.table:
        yield _row(chances, chances.version.rate(power.kind))
    yield from _verdict(power)


def _head(power: Power) -> Iterator[str]:
    traffic = power.traffic
    parts = [f"{traffic.rps:g} requests/s of users"] if traffic.rps else []
    parts += [f"{traffic.direct:g}/s of a load test at the canary"] if traffic.direct else []
    checks = ", ".join(f"{one.metric} {_tolerated(one)}" for one in power.limits.known)
    yield f"{INDENT}chances  {' and '.join(parts)}; tolerated: {checks}"
    for name, why in power.limits.unknown.items():
        yield f"{INDENT}         {name} is taken to pass: {why}"
    if power.overlap > 1:
        yield f"{INDENT}         windows overlap, {power.overlap} checks read each request: taken into account"
    if not power.exact:
        drawn = max(one.runs for one in power.table)
        yield f"{INDENT}         from {drawn:,} runs that were drawn: near 50 % within 2 points, near 1 % within 0.5"


def _tolerated(limit: Limit) -> str:
    """`1 % failed in 1m`"""
    return f"{percent(limit.most)} {'failed' if limit.kind == 'errors' else 'too slow'} in {clock(limit.window)}"


def _row(chances: Chances, rate: float) -> str:
    promoted, back = chance(chances.promoted, chances.runs), chance(chances.rolled_back, chances.runs)
    paid = f"{number(chances.paid)} of {number(chances.served)}"
    return f"{INDENT}{percent(rate):>9} {promoted:>10} {back:>12} {chances.intervals:>10.1f}   {paid} requests"


def _verdict(power: Power) -> Iterator[str]:
    bad, good = power.of(power.bad), power.of(power.good)
    yield (
        f"{INDENT}a version that {_does(power)} {percent(power.bad.rate(power.kind))} is promoted with a chance of "
        f"{chance(bad.promoted, bad.runs)} ({percent(power.false_promotion)} is allowed),\n"
        f"{INDENT}one with {percent(power.good.rate(power.kind))} is rolled back with "
        f"{chance(good.rolled_back, good.runs)} ({percent(power.false_rollback)} is allowed)"
    )
    if power.enough:
        yield f"{INDENT}the traffic is enough"
    elif power.needed is None:
        yield f"{INDENT}no traffic is enough: {_hopeless(power)}"
    else:
        yield f"{INDENT}{_needed(power, power.needed)}"


def _does(power: Power) -> str:
    return "fails" if power.kind == "errors" else "is too slow in"


def _hopeless(power: Power) -> str:
    if power.traffic.rps and not power.traffic.direct and power.of(power.good).rolled_back > 0.99:
        return "no request reaches the canary while it is checked; a load test of its own Service would"
    return "the bounds do not lie between the two versions, or too few checks are made"


def _needed(power: Power, factor: float) -> str:
    rate, interval = power.traffic.rps + power.traffic.direct, power.canary.analysis.interval
    return (
        f"NOT ENOUGH: it takes about {rate * factor:.3g} requests/s, "
        f"or intervals and windows of {clock(interval * factor)}"
    )


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
