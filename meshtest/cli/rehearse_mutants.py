"""`meshtest rehearse canary.yaml --mutants`: would this Canary stop a bad version, and does it let good ones pass?

Options of its own only; those of a rehearsal (files, --speed, --traffic ...) are rehearse.py's.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from meshtest.cli import FAILED, OK, UNPROVEN
from meshtest.cli.options import settings_of
from meshtest.cli.terminal import Terminal
from meshtest.errors import UsageError
from meshtest.lib.words import listed, plural

if TYPE_CHECKING:
    from meshtest.mesh.canary.mutants import Mutant
    from meshtest.mesh.canary.trial import Trial
    from meshtest.mesh.canary.trials import Trials

P99 = "100ms"
HEAD = ("version", "came out", "at", "after", "stopped by", "paid", "exposed")
NOTES = (
    "paid: requests of users that failed, and wrong answers; exposed: served by the new version before its end",
    "wrong answers and lost headers are found by a client of ours, which asks beside the users: Flagger has no metric"
    " that could see them",
    "bad versions are stand-ins: what they do is done to your Canary, not to your program",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("mutants")
    text = "try the Canary against a catalogue of bad and good versions: which are stopped, when, and who paid"
    group.add_argument("--mutants", action="store_true", help=text)
    group.add_argument("--only", metavar="NAME,...", default="", help="these mutants only (default: all)")
    group.add_argument(
        "--p99", metavar="TIME", default=P99, help=f"p99 of your service, to be doubled (default: {P99})"
    )


def go(arguments: argparse.Namespace) -> int:
    from meshtest.mesh.canary.measures import assumptions
    from meshtest.mesh.canary.mutants import chosen
    from meshtest.mesh.canary.trials import Trials

    mutants = chosen(filter(None, (name.strip() for name in arguments.only.split(","))))
    trials = Trials(
        files=arguments.files,
        settings=settings_of(arguments).settings,
        name=arguments.canary,
        flavour=arguments.flagger_provider,
        traffic=arguments.traffic,
        allow=arguments.allow,
        assume=assumptions(arguments.assume_metric),
        speed=arguments.speed,
        p99=seconds(arguments.p99),
        command="meshtest rehearse --mutants",
    )
    done: list[Trial] = []
    with Terminal() as terminal:
        if arguments.json:
            done.extend(trials.run(mutants))
            print(json.dumps(as_data(trials, done)))
        else:
            show(terminal, trials, mutants, done)
    verdicts = {trial.verdict for trial in done}
    return FAILED if "survived" in verdicts else UNPROVEN if "unknown" in verdicts else OK


def show(terminal: Terminal, trials: Trials, mutants: Sequence[Mutant], done: list[Trial]) -> None:
    """What is known when it is interrupted is told, too."""
    terminal.say(f"{trials.canary.full_name}: {plural(len(mutants), 'version')}; {trials.pace}")
    try:
        for trial in trials.run(mutants):
            done.append(trial)
            terminal.progress(f"{len(done)}/{len(mutants)}  {trial.mutant.name}: {trial.verdict}")
    finally:
        if done:
            terminal.say("\n".join(["", *table(done), "", *summary(done)]))


def seconds(text: str) -> float:
    """`100ms`, `1.5s`"""
    for unit, scale in (("ms", 1e-3), ("s", 1.0)):
        number = text.removesuffix(unit)
        if text.endswith(unit) and number.replace(".", "", 1).isdigit() and float(number):
            return float(number) * scale
    raise UsageError(f"--p99 {text!r}: write a time above 0, as 100ms or 1.5s")


def table(trials: Sequence[Trial]) -> list[str]:
    """A line a mutant, good ones below the bad ones, in columns."""
    rows = [HEAD, *(cells(trial) for trial in sorted(trials, key=lambda trial: trial.mutant.good))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def cells(trial: Trial) -> tuple[str, ...]:
    found = trial.rehearsal
    weight, intervals = f"{trial.weight} %" if trial.weight else "-", plural(found.intervals, "interval")
    return trial.mutant.name, trial.verdict, weight, intervals, trial.by or "-", str(trial.paid), str(found.exposed)


def summary(trials: Iterable[Trial]) -> list[str]:
    """What is not as it should be and why, each with its reason; then what the figures mean."""
    every = list(trials)
    lines: list[str] = []
    for verdict, said in (
        ("survived", "not stopped"), ("false alarm", "stopped without need"), ("held", "neither promoted nor stopped"),
        ("unknown", "stopped, and it may be this machine's doing (a lower --speed, fewer loads, more cores)"),
    ):  # fmt: skip
        found = [trial for trial in every if trial.verdict == verdict]
        if found:
            lines += [f"{said}: {listed((one.mutant.name for one in found), most=99)}"]
            lines += [f"  {one.mutant.name}: {_about(one)}; {one.why}" for one in found]
    bad = [trial for trial in every if not trial.mutant.good and trial.verdict != "unknown"]
    stopped = sum(trial.verdict == "stopped" for trial in bad)
    unknown = sum(trial.verdict == "unknown" for trial in every)
    left = f"; nothing is known of {plural(unknown, 'version')}" if unknown else ""
    lines += [f"{stopped} of {plural(len(bad), 'bad version')} stopped, {_false_alarms(every)}{left}"]
    return [*lines, "", *NOTES]


def _about(trial: Trial) -> str:
    """What it does, and what users meet."""
    return f"{trial.mutant.about} ({trial.mutant.pays})" if trial.mutant.pays else trial.mutant.about


def _false_alarms(trials: Sequence[Trial]) -> str:
    good = [trial for trial in trials if trial.mutant.good and trial.verdict != "unknown"]
    alarms = sum(trial.verdict == "false alarm" for trial in good)
    return f"{plural(alarms, 'false alarm')} in {plural(len(good), 'good version')}"


def as_data(trials: Trials, done: Sequence[Trial]) -> dict[str, object]:
    pace = trials.pace
    return {
        "canary": trials.canary.full_name,
        "speed": pace.speed,
        "requests_per_check": pace.requests,
        "lost_by_speed": str(pace),
        "mutants": [trial.as_data() for trial in done],
    }
