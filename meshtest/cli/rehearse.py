"""`meshtest rehearse canary.yaml`: a Canary of Flagger against real proxies and processes, with time compressed.

Not here: `--plan` (rehearse_plan.py: nothing is started), `--mutants` (rehearse_mutants.py).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.cli import FAILED, OK, UNPROVEN
from meshtest.cli.options import add_json, add_settings, pairs, settings_of
from meshtest.cli.terminal import Terminal
from meshtest.errors import UsageError
from meshtest.model.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from meshtest.mesh import Mesh
    from meshtest.mesh.canary.rehearsal import Rehearsing
    from meshtest.model.rehearsal import Rehearsal

SPEED = 20.0
EPILOG = """exit codes: 0 promoted, and no user lost a request but by the new version itself; 1 rolled back, or users
lost some; 5 not finished, or rolled back for what this machine did. With --plan and --mutants: 0, or 1 if the Canary
never ends, or lets a bad version pass; with --mutants 5 if a trial proved nothing."""


def arguments(parser: argparse.ArgumentParser) -> None:
    from meshtest.cli import rehearse_mutants, rehearse_power

    parser.epilog = EPILOG
    text = "the Canary, and what belongs to it: its target, Services, MetricTemplates, Gateway ... (missing: stand-ins)"
    parser.add_argument("files", nargs="+", help=text)
    parser.add_argument("--canary", default="", metavar="NAME", help="which one, where the files hold several")
    parser.add_argument(
        "--speed", type=float, metavar="N", help="so many times as fast as production (default: 20; --mutants chooses)"
    )
    parser.add_argument(
        "--provider", default="", dest="flagger_provider", metavar="NAME",
        help="Flagger's, where the Canary names none: istio (default), gatewayapi:v1 (with gatewayRefs), linkerd ...",
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
    add_settings(parser, mesh="--mesh")


def _revision(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--to", default="", metavar="TAG|FILE", help="a tag of the first image, or the new target")
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
    group.add_argument("--suites", type=Path, metavar="DIR", help="suites for webhooks that call meshtest's endpoint")
    text = "gates that wait for a person stay closed (default: they are opened at once)"
    group.add_argument("--no-approve", action="store_false", dest="approve", help=text)
    group.add_argument("--assume-metric", action="append", default=[], metavar="NAME=VALUE", help="what a metric reads")


def go(arguments: argparse.Namespace) -> int:
    if arguments.plan and arguments.mutants:
        raise UsageError("either --plan, which starts nothing, or --mutants, which rehearses each of them")
    if arguments.plan:
        return _plan(arguments)
    if arguments.mutants:
        from meshtest.cli import rehearse_mutants

        return rehearse_mutants.go(arguments)
    return _rehearse(arguments)


def _plan(arguments: argparse.Namespace) -> int:
    from meshtest.cli import rehearse_plan

    traffic = arguments.traffic[-1] if arguments.traffic else None
    told = {"provider": arguments.flagger_provider, "traffic": traffic}
    return rehearse_plan.go(argparse.Namespace(**{**vars(arguments), **told}))


def _rehearse(arguments: argparse.Namespace) -> int:
    from meshtest.cli.rehearse_table import Table
    from meshtest.mesh import open_mesh

    asked = _asked(arguments)
    _examine(arguments, asked)
    with (
        Terminal() as terminal,
        open_mesh("rehearse", settings_of(arguments).settings, command=_command(arguments)) as mesh,
    ):
        rehearsing = _rehearsing(mesh, arguments)
        table = None if arguments.json else Table(terminal, rehearsing.canary, rehearsing.speed)
        try:
            found = rehearsing.run(**asked, told=table)
        except KeyboardInterrupt:
            if rehearsing.last is not None and table is not None:
                table.summary(rehearsing.last)
            raise
        verdict = mesh.judge()
        if table is None:
            print(json.dumps(_data(found, verdict, mesh.run.directory)))
        else:
            table.end(found, verdict, mesh.run.directory)
        return exit_code(found, verdict)


def _examine(arguments: argparse.Namespace, asked: dict[str, Any]) -> None:
    """Bad input is told before anything is started."""
    from meshtest.manifests.reader import read
    from meshtest.mesh.canary import stage
    from meshtest.mesh.canary.fault import fault_of
    from meshtest.mesh.canary.measures import assumptions
    from meshtest.mesh.canary.rehearsal import examined
    from meshtest.mesh.canary.revision import Wanted

    documents = read(*arguments.files)
    named = (arguments.canary, arguments.flagger_provider)
    canary, _ = examined(documents, *named, _speed(arguments), arguments.traffic)
    documents, _ = stage.furnished(canary, documents)
    wanted = Wanted(to=asked["to"], images=asked["images"], annotations=asked["annotations"])
    _, changed = wanted.revised(stage.target_document(canary, documents))
    stage.check_pods(canary, documents.apply(changed))
    assumptions(arguments.assume_metric)
    for text in arguments.fault:
        fault_of(text)


def _rehearsing(mesh: Mesh, arguments: argparse.Namespace) -> Rehearsing:
    from meshtest.mesh.canary.measures import assumptions

    return mesh.canary(
        *arguments.files,
        name=arguments.canary,
        speed=_speed(arguments),
        provider=arguments.flagger_provider,
        traffic=arguments.traffic,
        allow=arguments.allow,
        suites=arguments.suites,
        approve=arguments.approve,
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


def _data(found: Rehearsal, verdict: Verdict, run: Path) -> dict[str, Any]:
    return {**found.as_data(), "sentence": str(found), "run": str(run), "users": verdict.as_data()}


def exit_code(found: Rehearsal, verdict: Verdict) -> int:
    """`verdict`: what users met."""
    if found.unproven:
        return FAILED if verdict.outcome is Outcome.FAIL else UNPROVEN
    if found.rolled_back:
        return FAILED
    if not found.promoted or not found.requests:
        return UNPROVEN
    return FAILED if verdict.outcome is Outcome.FAIL else OK
