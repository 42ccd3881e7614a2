"""`spec.analysis` of a Canary: interval and steps, metrics, webhooks, alerts, cookies.

Negative weights are refused here, though neither the CRD nor Flagger stops them.
"""

from __future__ import annotations

import re

from meshtest.lib.words import listed
from meshtest.manifests.quantities import seconds
from meshtest.manifests.view import View
from meshtest.rollouts.canary.reading_service import chosen
from meshtest.rollouts.canary.spec import (
    AlertRule,
    Analysis,
    Bounds,
    Hook,
    HookType,
    Metric,
    Reference,
    SessionAffinity,
    Severity,
)

DURATION = re.compile(r"[0-9]+(m|s)")
"""The pattern of the CRD: only how it begins."""
INTERVAL, SHORTEST = 60.0, 10.0
"""Seconds: for an interval that Go cannot parse, and for one that is shorter."""
TIMEOUT = 10.0
METRIC_INTERVAL = "1m"
WAYS = ("iterations", "stepWeight", "stepWeights")
SAME_SITE = ("Strict", "Lax", "None")
NEVER = -1.0
"""A timeout that Go cannot parse: every call fails."""


def analysis(view: View) -> Analysis:
    """One analysis, with defaults."""
    _check_way(view)
    return Analysis(
        interval=_interval(view),
        threshold=max(1, view.integer("threshold") or 0),
        iterations=_integer(view, "iterations"),
        step_weight=_integer(view, "stepWeight"),
        step_weights=view.integers("stepWeights"),
        promotion_step=_integer(view, "stepWeightPromotion"),
        max_weight=_integer(view, "maxWeight"),
        mirror=bool(view.boolean("mirror")),
        mirror_weight=_integer(view, "mirrorWeight"),
        match=tuple(chosen(below) for below in view.children("match")),
        primary_ready=_percent(view, "primaryReadyThreshold"),
        canary_ready=_percent(view, "canaryReadyThreshold"),
        metrics=tuple(_metric(below) for below in view.children("metrics")),
        hooks=tuple(_hook(below) for below in view.children("webhooks")),
        alerts=tuple(_alert(below) for below in view.children("alerts")),
        affinity=_affinity(view.child("sessionAffinity")),
    )


def _check_way(view: View) -> None:
    """The CRD takes interval, threshold, and exactly one way to advance."""
    for key in ("interval", "threshold"):
        view.require(key)
    ways = [key for key in WAYS if key in view]
    if len(ways) != 1:
        found = listed(ways) or "none"
        view.error("bad-value", f"{view.name()} needs exactly one of {listed(WAYS)}, not {found}", *ways[1:2])


def _integer(view: View, key: str) -> int:
    """Absent is 0, which is how Flagger reads it too."""
    return view.integer(key, least=0) or 0


def _percent(view: View, key: str) -> int:
    found = view.integer(key, least=0, most=100)
    return 100 if found is None else found


def _interval(view: View) -> float:
    found = _duration(view, "interval", INTERVAL)
    return INTERVAL if found == NEVER else max(found, SHORTEST)


def _duration(view: View, key: str, default: float) -> float:
    """Seconds; NEVER where the CRD accepts what Go does not parse (`5mm`)."""
    if isinstance(view.data.get(key), int):
        value = view.data[key]
        view.error("wrong-type", f'{view.name(key)} must be text with a unit, as "{value}s", not {value!r}', key)
        return default
    text = view.string(key)
    if not text:
        return default
    if not DURATION.match(text):
        view.error("bad-value", f'{view.name(key)} must begin like "30s" or "1m", not {text!r}', key)
        return default
    found = seconds(text)
    return NEVER if found is None else found


def _metric(view: View) -> Metric:
    view.require("name")
    _duration(view, "interval", INTERVAL)
    return Metric(
        name=view.string("name"),
        interval=view.string("interval") or METRIC_INTERVAL,
        bounds=_bounds(view.child("thresholdRange")),
        threshold=view.number("threshold") or 0.0,
        query=view.text("query"),
        template=_reference(view.child("templateRef")),
        variables=view.string_map("templateVariables"),
    )


def _bounds(view: View | None) -> Bounds | None:
    return None if view is None else Bounds(least=view.number("min"), most=view.number("max"))


def _reference(view: View | None) -> Reference | None:
    if view is None:
        return None
    view.require("name")
    return Reference(name=view.string("name"), namespace=view.string("namespace"))


def _hook(view: View) -> Hook:
    for key in ("name", "url"):
        view.require(key)
    return Hook(
        name=view.string("name"),
        url=view.string("url"),
        type=HookType(view.choice("type", tuple(HookType), HookType.ROLLOUT)),
        timeout=_duration(view, "timeout", TIMEOUT),
        retries=_integer(view, "retries"),
        mute=bool(view.boolean("muteAlert")),
        insecure=bool(view.boolean("disableTLS")),
        metadata=view.string_map("metadata"),
    )


def _alert(view: View) -> AlertRule:
    for key in ("name", "providerRef"):
        view.require(key)
    severity = view.choice("severity", tuple(Severity), "")
    provider = _reference(view.child("providerRef")) or Reference(name="")
    return AlertRule(
        name=view.string("name"), provider=provider, severity=Severity(severity) if severity else None
    )  # fmt: skip


def _affinity(view: View | None) -> SessionAffinity | None:
    if view is None:
        return None
    cookie, primary = view.string("cookieName"), view.string("primaryCookieName")
    if view.require("cookieName") and cookie == primary:
        same = f"{view.name('primaryCookieName')} must differ from `cookieName`: Flagger never starts this Canary"
        view.error("bad-value", same, "primaryCookieName")
    max_age = _integer(view, "maxAge") or SessionAffinity.max_age
    return SessionAffinity(cookie=cookie, primary_cookie=primary, max_age=max_age, attributes=_attributes(view))


def _attributes(view: View) -> tuple[str, ...]:
    """In the order in which Flagger writes them."""
    written = (
        ("Domain", view.string("domain")),
        ("HttpOnly", view.boolean("httpOnly")),
        ("Partitioned", view.boolean("partitioned")),
        ("Path", view.string("path")),
        ("SameSite", view.choice("sameSite", SAME_SITE, "")),
        ("Secure", view.boolean("secure")),
    )
    return tuple(name if value is True else f"{name}={value}" for name, value in written if value)
