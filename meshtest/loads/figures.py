"""From what the processes of a load say of themselves to the load's Summary; and whether it was the bottleneck. Pure.

saturated   requests found no socket │ were due and never left │ left late, whatever the mesh did
not         a slow or dead mesh: an open loop sends on time however long answers take
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from meshtest.lib.words import plural
from meshtest.model.record import TICK_NS
from meshtest.model.request import Fate
from meshtest.spi.load import Summary

if TYPE_CHECKING:
    from meshtest.loads.tally import Figures

SHORTFALLS = ((0.01, 0.5), (0.2, 0.1))
"""A load was saturated if such a share of its sends was later than so many seconds. The pauses of a busy machine (40 ms
where four processes share a core) are no shortfall: they are on record as lateness, and in what was missed at most."""
_FEW = 5
"""Sends that must be so late: one of a short load is 1 % of it."""
_STARVED = 0.5
"""Share of the time in the run queue above which a closed loop, which cannot be late, measured the machine."""


def summary(
    parts: Sequence[Figures], *, asked: float | None, gap: float | None = None, closed: bool = False
) -> Summary:
    """`asked`: requests a second, if that was constant. `gap`: the largest over all parts, of several."""
    sent = sum(part["sent"] for part in parts)
    first = min((part["first"] for part in parts if part["sent"]), default=0)
    last = max(part["last"] for part in parts)
    late = lateness(parts)
    return Summary(
        sent=sent,
        fates={fate: count for fate in Fate if (count := sum(part["fates"][fate] for part in parts))},
        idle_closed=sum(part["idle_closed"] for part in parts),
        max_gap=max(part["gap"] for part in parts) / 1e9 if gap is None else gap,
        late_p50=quantile(late, 0.5),
        late_p99=quantile(late, 0.99),
        rate=(sent - 1) * 1e9 / (last - first) if last > first else 0.0,
        troubles=dict(sum((Counter(part["troubles"]) for part in parts), Counter())),
        error=next((part["error"] for part in parts if part["error"]), ""),
        saturated=saturated(parts, asked=asked, closed=closed),
    )


def lateness(parts: Sequence[Figures]) -> list[tuple[int, int]]:
    """(ticks, sends) of all parts, in order."""
    counts: Counter[int] = Counter()
    for part in parts:
        counts.update(dict(part["late"]))
    return sorted(counts.items())


def quantile(late: Sequence[tuple[int, int]], p: float) -> float:
    """The p-quantile of a lateness, in seconds."""
    rank, seen = p * sum(count for _, count in late), 0
    for ticks, count in late:
        seen += count
        if seen >= rank:
            return ticks * TICK_NS / 1e9
    return 0.0


def saturated(parts: Sequence[Figures], *, asked: float | None, closed: bool) -> str:
    """Why the generator was the bottleneck, with figures; "" if it was not."""
    reasons = [*_unsent(parts), *(_starved(parts) if closed else _late(parts, asked))]
    return f"{'; '.join(reasons)} ({_cpu(parts)})" if reasons else ""


def _unsent(parts: Sequence[Figures]) -> list[str]:
    unsent = sum(part["fates"][Fate.NOT_SENT] for part in parts)
    if not unsent:
        return []
    why = next((part["unsent"] for part in parts if part["unsent"]), "they were due and had not left at the end")
    return [f"{plural(unsent, 'request')} not sent: {why}"]


def _late(parts: Sequence[Figures], asked: float | None) -> list[str]:
    late = lateness(parts)
    sends = sum(count for _, count in late)
    for share, limit in SHORTFALLS:
        beyond = sum(count for ticks, count in late if ticks * TICK_NS > limit * 1e9)
        if beyond >= max(share * sends, _FEW):
            text = f"{plural(beyond, 'request')} of {sends} left more than {limit * 1e3:.0f} ms late"
            return [text + f", p99 {quantile(late, 0.99) * 1e3:.0f} ms{_rates(parts, asked)}"]
    return []


def _rates(parts: Sequence[Figures], asked: float | None) -> str:
    seconds = (max(part["last"] for part in parts) - min(part["first"] for part in parts)) / 1e9
    if not asked or seconds <= 0:
        return ""
    return f"; asked for {asked:g} a second, sent {sum(part['sent'] for part in parts) / seconds:.0f}"


def _starved(parts: Sequence[Figures]) -> list[str]:
    share = max(part["queued"] / part["wall"] if part["wall"] else 0.0 for part in parts)
    return [f"it waited for a CPU {share:.0%} of the time"] if share > _STARVED else []


def _cpu(parts: Sequence[Figures]) -> str:
    wall = sum(part["wall"] for part in parts) or 1
    cpu, queued = (sum(part[key] for part in parts) / wall for key in ("cpu", "queued"))
    each = "each of its processes" if len(parts) > 1 else "the prober"
    return f"{each} used {cpu:.0%} of a CPU and waited for one {queued:.0%} of the time"
