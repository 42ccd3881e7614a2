"""May a failed check be blamed on the version? Not if this machine, or the compressed time, is enough to explain it.

    no value       the canary's requests were answered, and the samples of so short a window do not show them; or so few
                   were due in it that none is chance; or requests left late, or not at all
    too slow       without what the machine has added - requests left so late, and on a strained machine the slowest
                   request of the other pods was that slow - the canary's own requests are within the limit
    time-out       of a webhook: a rehearsal leaves it less time than production does, or the machine was strained
    not ready      in a deadline that is, compressed, hardly longer than the pods before needed to be ready here

Never excused is an answer with 5xx: somebody gave it (as checks/overload.py has it). Each function is pure and returns
the reason in words, with its figures; empty: the check stands. The thresholds are measured: tests/bench/starved.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.lib.dataclass import dataclass
from meshtest.lib.figures import percent
from meshtest.lib.words import plural
from meshtest.mesh.canary.window import Window
from meshtest.model.rehearsal import Called, Measured

STOLEN = 0.1
"""Of the CPU time, from which on a host is short of CPUs; 0.00 to 0.04 on one that is not."""
PRESSED = 0.9
"""Of the time somebody waited for a CPU: 0.15 to 0.65 in a rehearsal on two cores that are not short of CPU, 0.9 to 1
beside four busy processes."""
STARVED = 0.25
"""Of the time the proxies had no CPU to spare."""
LATE = 0.1
"""Seconds: a load that leaves so late is a sign (loads/figures.py). At most 0.03 on a machine that is not short of CPU,
and mostly beside four busy processes."""
PART = 0.25
"""Of a window that went by before a request left."""
FEW = 4.6
"""Requests that are to be expected: that none comes is chance once in a hundred times (e**-4.6)."""
TWICE = 2.0
"""So many times as long as other pods of the service needed, a pod may need without a reason of its own."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a metric is about, as far as it matters here."""

    of_proxies: bool = False
    """It counts what our record counts too."""
    limit: float | None = None
    """Seconds, of one that measures how long requests take."""
    expected: float | None = None
    """Requests of the canary that are due in the window by its weight; None: that is not by weight."""
    speed: float = 1.0


def of_metric(measured: Measured, asked: Asked, seen: Window) -> str:
    """Of one that did not pass."""
    if measured.ok:
        return ""
    if measured.value is None:
        return _of_nothing(measured, asked, seen)
    if asked.limit is not None:
        return _of_slowness(measured, asked.limit, seen)
    return ""


def _of_nothing(measured: Measured, asked: Asked, seen: Window) -> str:
    said = f"metric {measured.name} had no value"
    if asked.of_proxies and seen.good and asked.speed > 1:
        answers = f"{plural(seen.good, 'request')} of the canary had a good answer in its window"
        return f"{said}, though {answers}: {seen.seconds:.2g} s hold too few samples"
    if late := _late(seen):
        return f"{said}, and {late}"
    if seen.served or seen.routed:
        return ""
    if asked.expected is not None and asked.expected < FEW <= asked.expected * asked.speed:
        due = f"{asked.expected:.2g} of the canary were due in {seen.seconds:.2g} s"
        return f"{said}: {due}, where production has {asked.speed:g} times as many"
    if not seen.sent and (strained := strain(seen)):
        return f"{said}, no request of the users had ended in its window, and {strained}"
    return ""


def _of_slowness(measured: Measured, limit: float, seen: Window) -> str:
    added, why = max(_added(seen), default=(0.0, ""))
    if not added:
        return ""
    slow = sum(seconds - added > limit for seconds, _ in seen.served)
    if slow > len(seen.served) // 100:
        return ""
    return f"metric {measured.name} was over its limit, and without that its requests would be within it: {why}"


def _added(seen: Window) -> Iterator[tuple[float, str]]:
    """Seconds that the machine may have added to any request."""
    if seen.late >= LATE:
        yield seen.late, f"requests left up to {seen.late:.2g} s late"
    if strained := strain(seen):
        yield seen.others, f"other pods took up to {seen.others:.2g} s, and {strained}"


def _late(seen: Window) -> str:
    if seen.late < max(LATE, PART * seen.seconds):
        return ""
    return f"requests of its window of {seen.seconds:.2g} s left up to {seen.late:.2g} s late"


def strain(seen: Window) -> str:
    """What the kernel says, if the machine was short of CPU."""
    if seen.strain.stolen >= STOLEN:
        return f"the host took {percent(seen.strain.stolen)} of the CPU time for others"
    if seen.starved >= STARVED * seen.seconds:
        return f"the proxies had no CPU to spare for {seen.starved:.2g} s"
    if seen.strain.pressed >= PRESSED:
        return f"for {percent(seen.strain.pressed)} of the time somebody waited for a CPU"
    return ""


def of_hook(called: Called, timeout: float, seen: Window) -> str:
    """Of a webhook that did not answer in time; `timeout` is that of production, in seconds."""
    if called.ok or "deadline exceeded" not in called.reason:
        return ""
    had = called.seconds / called.attempts
    if had < timeout:
        return f"webhook {called.name} did not answer in {had:.2g} s, where production waits {timeout:g} s"
    strained = strain(seen)
    return f"webhook {called.name} did not answer in time, and {strained}" if strained else ""


def of_readiness(who: str, waited: float, others: float) -> str:
    """Of pods that were not ready in time: `waited` seconds of ours; the other pods needed `others`."""
    if waited >= TWICE * others:
        return ""
    return (
        f"the {who} was not ready after {waited:.2g} s, which is all that its deadline leaves here; the pods before it"
        f" needed up to {others:.2g} s"
    )
