"""`meshtest rehearse canary.yaml --plan`: what a Canary will do, tick by tick; nothing is started.

Not here: the command's other arguments (`files`, `--traffic`, `--json`; rehearse.py), the plan itself
(rollouts/canary/plan.py), the chances (rehearse_power.py).
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from meshtest.cli import FAILED, OK
from meshtest.cli.terminal import Terminal
from meshtest.errors import UsageError
from meshtest.lib.figures import clock, percent
from meshtest.lib.words import plural

if TYPE_CHECKING:
    from meshtest.model.document import Document, Documents
    from meshtest.rollouts.canary.course import Course, Exposure
    from meshtest.rollouts.canary.driver import Tick
    from meshtest.rollouts.canary.plan import Plan
    from meshtest.rollouts.canary.plan import Told as Surprising
    from meshtest.rollouts.canary.power import Power

    Told: TypeAlias = tuple[Document, Plan, Power | None]

CANARY = "flagger.app/Canary"
PROVIDERS = ("istio", "linkerd", "gatewayapi:v1", "gatewayapi:v1beta1", "kubernetes")
INDENT = "  "


def arguments(parser: argparse.ArgumentParser) -> None:
    """Those that only the plan needs."""
    from meshtest.cli import rehearse_power

    parser.add_argument("--provider", choices=PROVIDERS, default="", help="of Canaries that name none (default: istio)")
    rehearse_power.arguments(parser)


def go(arguments: argparse.Namespace) -> int:
    """Exit code FAILED for a Canary that never gets to its end."""
    from meshtest.cli import rehearse_power
    from meshtest.manifests.reader import read
    from meshtest.rollouts.canary.plan import plan

    documents = read(*arguments.files)
    told: list[Told] = []
    for document in canaries(documents):
        one = plan(document, provider=arguments.provider)
        told.append((document, one, rehearse_power.power_of(one, document, documents, arguments)))
    if arguments.json:
        print(json.dumps([data(one, power) for _, one, power in told], indent=2))
    else:
        with Terminal(sys.stdout) as terminal:
            terminal.say("\n\n".join("\n".join(lines(*one, terminal.width)) for one in told))
    return OK if all(one.happy and one.happy.ending == "promoted" for _, one, _ in told) else FAILED


def data(plan: Plan, power: Power | None) -> dict[str, Any]:
    return {**plan.as_data(power.traffic.rps if power else None), "power": power.as_data() if power else None}


def canaries(documents: Documents) -> Sequence[Document]:
    found = [document for document in documents if document.kind == CANARY]
    if not found:
        kinds = ", ".join(sorted({document.kind.rpartition("/")[2] for document in documents}))
        raise UsageError(f"there is no Canary of flagger.app among these objects ({kinds}): name the file that has it")
    return found


def lines(document: Document, plan: Plan, power: Power | None, width: int) -> Iterator[str]:
    """The ticks, then the facts, then the chances, then what surprises."""
    from meshtest.cli import rehearse_power

    yield _title(document, plan)
    if plan.happy is None:
        yield f"{INDENT}never starts: Flagger does not get as far as a primary"
    else:
        yield ""
        yield from _table(plan.happy, width)
        yield ""
        yield from _facts(plan, width, power.traffic.rps if power and power.traffic.rps else None)
        yield ""
        yield from rehearse_power.lines(power) if power else rehearse_power.HINT
    if plan.surprises or plan.notes:
        yield ""
        yield from _surprises(plan, width)


def _title(document: Document, plan: Plan) -> str:
    from meshtest.rollouts.canary.plan import strategy

    canary = plan.canary
    told = f"{strategy(canary)} on {canary.provider}, every {clock(plan.interval)}"
    return f"{canary.full_name} ({document.where()}): {told}, threshold {canary.analysis.threshold}"


# -- the table of ticks


def _table(taken: Course, width: int) -> Iterator[str]:
    """What is asked is told where it changes."""
    yield f"{INDENT}tick   after  phase             routes          asks"
    before = ""
    for number, tick in enumerate(taken.ticks, 1):
        after, asked = clock((number - 1) * taken.canary.analysis.interval), _asked(tick)
        row = f"{INDENT}{number:>4}  {after:>6}  {tick.state.phase:<16}  {_routes(tick):<14}  "
        told = '"' if asked and asked == before else asked
        yield from textwrap.wrap(row + told, width, subsequent_indent=" " * len(row), break_on_hyphens=False)
        before = asked


def _routes(tick: Tick) -> str:
    return str(tick.state.routes) if tick.state.routes else "-"


def _asked(tick: Tick) -> str:
    """`pre-rollout: smoke; metrics: errors, latency`"""
    from meshtest.rollouts.canary.plan import measured

    by_type: dict[str, list[str]] = {}
    for call, _ in tick.hooks:
        if call.hook.type != "event":
            by_type.setdefault(str(call.hook.type), []).append(call.hook.name)
    if found := measured(tick):
        by_type["metrics"] = list(dict.fromkeys(found))
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in by_type.items())


# -- the facts


def _facts(plan: Plan, width: int, rps: float | None) -> Iterator[str]:
    for name, text in _told(plan, rps):
        head = f"{INDENT}{name:<9}"
        yield from textwrap.wrap(text, width, initial_indent=head, subsequent_indent=" " * len(head))


def _told(plan: Plan, rps: float | None) -> Iterator[tuple[str, str]]:
    assert plan.happy is not None
    yield "good", _ended(plan.happy, rps)
    if plan.bad is None:
        yield "bad", "nothing checks the new version: a bad one ends as a good one does"
    else:
        yield "bad", f"its {plan.what_fails} fail from the first check on: {_ended(plan.bad, rps)}"
    if plan.late:
        yield "late", f"they fail only once users meet it: {_ended(plan.late, rps)}"
    yield from _hooks(plan)


def _ended(taken: Course, rps: float | None) -> str:
    if taken.ending == "never ends":
        where = f"{taken.ticks[-1].state.phase} at {_routes(taken.ticks[-1])}"
        return f"NEVER ENDS: from tick {taken.intervals + 1} on it stays {where}"
    longest = clock(taken.seconds + taken.canary.analysis.interval)
    took = f"{taken.ending} after {plural(taken.intervals, 'interval')}, {clock(taken.seconds)} ({longest} from apply)"
    users = "users who match" if taken.canary.analysis.strategy == "ab-testing" else "users"
    return f"{took}; {_met(taken.exposure, rps, users)}"


def _met(exposure: Exposure, rps: float | None, users: str) -> str:
    """Of an A/B test the traffic is that of those who match."""
    if not exposure.intervals:
        return "no user meets it before"
    share = f"at most {percent(exposure.most)}" if exposure.most < 1 else "all"
    all_of = f"all requests of {clock(exposure.weighted)}"
    worth = all_of if rps is None else f"about {exposure.requests(rps):,.0f} requests"
    many = plural(exposure.intervals, "interval")
    return f"{users} meet it for {many} ({clock(exposure.seconds)}), {share} of them: {worth}"


def _hooks(plan: Plan) -> Iterator[tuple[str, str]]:
    for use in plan.uses:
        when = f"{len(use.happy)} x, {_ticks(use.happy)}" if use.happy else "never when all goes well"
        bad = f"; {len(use.bad)} x when bad" if plan.bad and len(use.bad) != len(use.happy) else ""
        yield "hook", f"{use.hook.name} ({use.hook.type}): {when}{bad}; a call takes {clock(use.worst)} at worst"
    number, seconds = plan.slowest
    if seconds:
        late = f", longer than the interval of {clock(plan.interval)}: the next tick comes late" if plan.blocks else ""
        yield "slowest", f"tick {number}: its hooks may take {clock(seconds)}{late}"


def _ticks(numbers: Sequence[int]) -> str:
    """`tick 0`, `ticks 2-9, 11`"""
    runs: list[list[int]] = []
    for number in dict.fromkeys(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    told = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"tick{'' if told.isdigit() else 's'} {told}"


def _surprises(plan: Plan, width: int) -> Iterator[str]:
    for note in plan.notes:
        yield from _placed(str(note.source), f"{note.severity.name.lower()}: {note.message}", width)
    for told in plan.surprises:
        yield from _placed(_code_and_place(told), told.surprise.says, width)


def _code_and_place(told: Surprising) -> str:
    return f"{told.surprise.code} {told.source}"


def _placed(place: str, text: str, width: int) -> Iterator[str]:
    yield from textwrap.wrap(f"{place}: {text}", width, initial_indent=INDENT, subsequent_indent=INDENT * 3)
