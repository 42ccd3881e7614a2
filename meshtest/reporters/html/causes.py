"""What probably made requests fail, where the record tells: one sentence, each rule with the evidence it asks for.

The letters are Envoy's response flags (access log, %RESPONSE_FLAGS%): UC the upstream ended the connection, UF it could
not be made, UH no healthy endpoint, NR and NC no route or cluster, UT the upstream took too long, UO overflow of a
circuit breaker, FI and DI an injected fault. A rule that is not sure says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from meshtest.lib.figures import percent, seconds
from meshtest.lib.words import listed, plural
from meshtest.model.history import Event
from meshtest.reporters.html.material import Failure, Material

NEAR = 1.0
"""Seconds between an event and a failure that may have to do with each other."""
MOST = 0.5
"""A cause explains more than this share of the failures, or it is not told."""


def likely(material: Material) -> str:
    """A sentence or two, or "" if the record does not tell."""
    if not material.failures:
        return ""
    rules: Sequence[Callable[[Material, Sequence[Failure]], str]] = (
        _fault, _cut, _gone, _nobody, _no_route, _overflow, _too_slow, _version, _starved,
    )  # fmt: skip
    return next((words for rule in rules if (words := rule(material, material.failures))), "")


def just_before(material: Material, most: int = 4) -> list[tuple[float, Event]]:
    """(seconds before the first failure was noticed, event) of what happened to the mesh last, the latest first."""
    if material.moment is None:
        return []
    told = ("config.ack", "config.rejected", "pod.", "fault.", "step.start", "certificates.")
    before = [e for e in material.events if e.at <= material.moment and e.kind.startswith(told)]
    return [(material.moment - e.at, e) for e in sorted(before, key=lambda e: -e.at)[:most]]


def _most(part: Sequence[object], failures: Sequence[Failure]) -> bool:
    return len(part) > MOST * len(failures)


def _fault(material: Material, failures: Sequence[Failure]) -> str:
    """Injected, by us: by the flags, or because a fault was in force all the time."""
    bitten = [f for f in failures if {"FI", "DI"} & set(f.flags)] or list(_under_fault(material, failures))
    starts = [e for e in material.history.of("fault.start") if bitten and e.at <= bitten[-1].request.ended_at]
    if not starts or not _most(bitten, failures):
        return ""
    return f"the injected fault in {starts[-1].subject} ({described(starts[-1])}), in force from {starts[-1].at:.3f} s"


def _under_fault(material: Material, failures: Sequence[Failure]) -> Iterator[Failure]:
    ends = material.history.of("fault.end")
    for failure in failures:
        for start in material.history.of("fault.start"):
            end = next((e.at for e in ends if e.subject == start.subject and e.at >= start.at), float("inf"))
            if start.at <= failure.request.ended_at <= end:
                yield failure
                break


def described(event: Event) -> str:
    """`abort 503, 30 %` of a fault.start."""
    fault = event.data.get("fault") or {}
    parts = [f"{name} {fault[name]}{' s' if name == 'delay' else ''}" for name in ("abort", "delay") if fault.get(name)]
    if fault.get("percent") not in (None, 100, 100.0):
        parts.append(f"{fault['percent']:g} %")
    return ", ".join(parts) or "fault"


def _cut(material: Material, failures: Sequence[Failure]) -> str:
    """Under way when their pod was told to stop, or ended."""
    cut = [f for f in failures if "UC" in f.flags or f.request.fate.name in ("RESET", "CLOSED")]
    stops = material.history.of("pod.terminate", "pod.exit")
    hit = [(f, stop) for f in cut if (stop := _stop_of(material, f, stops)) is not None]
    if not hit or not _most(hit, failures):
        return ""
    pods = sorted({stop.subject for _, stop in hit})
    first = min((stop for _, stop in hit), key=lambda e: e.at)
    told = "got SIGTERM" if first.kind == "pod.terminate" else "ended"
    words = f"{plural(len(hit), 'request')} were under way when {listed(pods, most=3)} {told} at {first.at:.3f} s"
    return f"{words}; they were cut instead of answered{_still_routed(material, first)}"


def _stop_of(material: Material, failure: Failure, stops: Sequence[Event]) -> Event | None:
    """The first stop of the pod that had the request, if that was where the request ended."""
    pods = {hop.server.pod for hop in material.history.hops_of(failure.request.id)} | {failure.request.server.pod}
    own = [e for e in stops if e.subject in pods and e.subject]
    sent, ended = failure.request.at, failure.request.ended_at
    return next((e for e in own if sent - NEAR <= e.at <= ended + 0.05 and e.at >= ended - NEAR), None)


def _still_routed(material: Material, stop: Event) -> str:
    """Whether the shift away from it came before."""
    shift = next((e for e in reversed(material.history.of("config.ack")) if e.at <= stop.at), None)
    if shift is None or stop.at - shift.at > NEAR:
        return ""
    number = int(shift.data.get("number", 0))
    reason = material.reasons.get(number, "")
    return f". Change {number} ({reason}) was in force {seconds(stop.at - shift.at)} earlier" if reason else ""


def _gone(material: Material, failures: Sequence[Failure]) -> str:
    """Called after it had ended, because the proxies still believed in it."""
    unmade = [f for f in failures if "UF" in f.flags or f.request.fate.name == "REFUSED"]
    ended = {e.subject: e for e in material.history.of("pod.exit")}
    pods = Counter(
        hop.server.pod
        for f in unmade
        for hop in material.history.hops_of(f.request.id)
        if hop.server.pod in ended and ended[hop.server.pod].at <= f.request.ended_at
    )
    if not pods or not _most(unmade, failures):
        return ""
    pod = pods.most_common(1)[0][0]
    last = max(f.request.ended_at for f in unmade) - ended[pod].at
    who = listed(sorted(pods), most=3)
    return f"the proxies went on calling {who}, up to {seconds(max(last, 0.0))} after {pod} had ended"


def _nobody(material: Material, failures: Sequence[Failure]) -> str:
    lonely = [f for f in failures if "UH" in f.flags]
    if not _most(lonely, failures):
        return ""
    stop = [e for e in material.history.of("pod.terminate", "pod.exit", "pod.unready") if e.at <= lonely[0].request.at]
    why = f"; the last to leave was {stop[-1].subject} at {stop[-1].at:.3f} s" if stop else ""
    return f"no endpoint was ready (flag UH){why}"


def _no_route(material: Material, failures: Sequence[Failure]) -> str:
    astray = [f for f in failures if {"NR", "NC"} & set(f.flags)]
    change = material.guilty
    if not _most(astray, failures):
        return ""
    return "no route leads there (flag NR)" + (f", after change {change.number}: {change.reason}" if change else "")


def _overflow(material: Material, failures: Sequence[Failure]) -> str:
    full = [f for f in failures if "UO" in f.flags]
    return "a circuit breaker was open or full (flag UO)" if _most(full, failures) else ""


def _too_slow(material: Material, failures: Sequence[Failure]) -> str:
    slow = [f for f in failures if "UT" in f.flags]
    return "the upstream took longer than the route's timeout (flag UT)" if _most(slow, failures) else ""


def _version(material: Material, failures: Sequence[Failure]) -> str:
    """A service answers with errors itself, as no proxy has a flag for it; other versions of it do not."""
    own = Counter(_blamed(f) for f in failures if f.request.answered and not f.flags)
    name, count = own.most_common(1)[0] if own else ("", 0)
    service, _, version = name.partition("/")
    if not version or count <= MOST * len(failures):
        return ""
    rows = {row.version: row for row in material.rows if row.version.partition("/")[0] == service}
    others = [row for key, row in rows.items() if key != name and row.requests]
    if name not in rows or any(row.failed for row in others):
        return ""
    words = f"{name} itself answers with errors: {_rate(count, rows[name].requests)}"
    if not others:
        return words
    return f"{words}; {listed(row.version for row in others)} had none. It is the version, not the shift"


def _blamed(failure: Failure) -> str:
    return failure.culprit.rpartition(" ")[0] or failure.who


def _rate(failed: int, requests: int) -> str:
    return f"{failed} of {plural(requests, 'request')} ({percent(failed / max(requests, 1))})"


def _starved(material: Material, failures: Sequence[Failure]) -> str:
    starved = material.history.of("proxy.starved")
    late = [f for f in failures if f.request.fate.name == "TIMEOUT"]
    if not starved or not _most(late, failures):
        return ""
    return f"the proxies had no CPU to spare for {seconds(float(starved[0].data.get('seconds') or 0.0))}"
