"""`meshtest demo`: four services from YAML, one is shifted under load, a verdict; --fail: a bad version, caught."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.resources import as_file, files
from typing import TYPE_CHECKING

from meshtest.cli import EXIT
from meshtest.cli.options import add_json, add_live, add_settings, settings_of
from meshtest.cli.terminal import Terminal
from meshtest.model.verdict import Outcome

if TYPE_CHECKING:
    from meshtest.mesh import Mesh
    from meshtest.model.history import History
    from meshtest.model.verdict import Verdict

STEPS = (25, 50, 100)
ERROR = 1e-5
"""The first thing that people see must not call a right mesh wrong once in a thousand times."""
PER_STEP = 190
"""Requests of each step: enough to tell 25 % from nothing and from 50 % with that error over all steps."""
AFTER = 100
"""Requests without v1."""
RATE = 150.0
"""Each request makes three more: half of what two cores can carry, for others may want some of them."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fail", action="store_true", help="roll out a bad version, to see what a failure looks like")
    add_live(parser)
    add_json(parser)
    add_settings(parser)


def go(arguments: argparse.Namespace) -> int:
    from meshtest.mesh import open_mesh
    from meshtest.run.live import LivePage
    from meshtest.run.pulse import Pulse

    settings = replace(settings_of(arguments).settings, error=ERROR)
    with Terminal() as terminal:
        command = "meshtest demo --fail" if arguments.fail else "meshtest demo"
        with open_mesh("demo", settings, command=command) as mesh:
            say: Callable[[str], None] = _silent if arguments.json else terminal.say
            for path in _unfinished(mesh):
                say(f"note: {path} was cut short (its runner was killed); all it had started has ended")
            with contextlib.ExitStack() as watching:
                if arguments.live is not None:
                    page = watching.enter_context(LivePage(mesh.run.directory, arguments.live))
                    say(f"report, live: {page.url}")
                watching.enter_context(terminal.following(Pulse(mesh.run.directory)))
                verdict = _play(mesh, say, bad=arguments.fail)
            if arguments.json:
                print(json.dumps({"run": str(mesh.run.directory), **verdict.as_data()}))
            else:
                _show(mesh, verdict, terminal, command)
    return EXIT[verdict.outcome]


def _silent(text: str) -> None:
    """With --json only the data is printed."""


def _unfinished(mesh: Mesh) -> list[object]:
    from meshtest.run import unfinished

    return [path for path in unfinished(mesh.settings.reports) if path != mesh.run.directory]


def _play(mesh: Mesh, say: Callable[[str], None], *, bad: bool) -> Verdict:
    began = time.monotonic()
    with as_file(files("meshtest.cli") / "scenes") as scenes:
        mesh.apply(scenes / "shop.yaml")
        if bad:
            mesh.apply(scenes / "bad-reviews.yaml")  # a rolling update
    pods = mesh.provider.pods()
    say(f"{len(mesh.topology.services)} services, {len(pods)} pods behind Envoy in {time.monotonic() - began:.2f} s")
    reviews = mesh["reviews"]
    with mesh.load("GET http://shop.example/productpage", rps=RATE, source="ingress") as load:
        say(f"load: GET /productpage through the ingress, {RATE:g} requests/s, half of them on new connections")
        for percent in STEPS:
            with mesh.step(f"reviews v2 at {percent}%"):
                before = time.monotonic()
                reviews.shift(v2=percent)
                took = (time.monotonic() - before) * 1e3
                load.until(requests=PER_STEP)
                share = load.here.share("v2", host="reviews")
                say(f"reviews v2 at {percent:>3} %: in force after {took:.1f} ms; v2 served {share}")
        reviews["v1"].terminate()
        say("reviews v1 terminated: out of the endpoints, SIGTERM, drained")
        load.until(requests=AFTER)
    return mesh.judge()


def _show(mesh: Mesh, verdict: Verdict, terminal: Terminal, command: str) -> None:
    from meshtest.reporters import console

    terminal.say()
    text = console.summary(mesh.history(), verdict, folder=mesh.run.directory, command=command, **terminal.look)
    terminal.say(text)
    for line in advice(verdict, mesh.history()):
        terminal.say(line)
    terminal.say(f"  again   meshtest judge {mesh.run.directory}")


def advice(verdict: Verdict, history: History) -> Iterator[str]:
    """What to do where the machine, and not the mesh, is why nothing was proven."""
    if verdict.outcome is Outcome.UNKNOWN and history.of("proxy.starved"):
        busy, cores = os.getloadavg()[0], os.cpu_count() or 1
        yield f"  do      run it again when other programs leave it a core (load average {busy:.1f} on {cores} cores)"
