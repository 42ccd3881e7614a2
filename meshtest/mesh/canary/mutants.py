"""The catalogue: bad versions that a good policy stops, and good ones that it lets pass. Data only.

A mutant is a stand-in with a behaviour (annotations of its pods, as `meshtest.dev/NAME`). Not here: its run on a mesh
(trials.py), what came of it (trial.py).

    {slow}     twice the p99 of the service              {path}    what a few users ask for
    {requests} that it serves before it ends             {header}  what a few users send
    {memory}   as much as these requests leak            {pause}   of a CrashLoopBackOff, compressed like all else
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Literal

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import nearest

FEW = 0.05
"""The share of the users that ask for {path}, or send {header}, where no load of the Canary does."""
PATH, HEADER = "/checkout", "x-plan:gold"
"""What those few ask for."""
TIMES = 5
"""Calls that an overloading version makes in place of one."""
ROOM = 1.5
"""The capacity of the dependency, as a multiple of what the users need."""

Needs = Literal["", "few paths", "few headers", "dependency"]


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One version to roll out."""

    name: str
    about: str
    """What is wrong with it, or different, in one sentence."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Without the prefix `meshtest.dev/`."""
    good: bool = False
    """A good policy lets it pass; else it stops it."""
    pays: str = ""
    """What users meet."""
    needs: Needs = ""
    """What there has to be besides: users of another kind, a service that it calls."""
    later: bool = False
    """It shows in the next rollout only, so there is one."""
    watched_by: tuple[str, ...] = ()
    """Metrics that can see it; none: only a test that looks at the answers can (a webhook)."""

    def annotated(self, values: Mapping[str, str]) -> dict[str, str]:
        """For the pods."""
        return {f"meshtest.dev/{name}": text.format_map(values) for name, text in self.annotations.items()}


ERRORS, DURATION = "request-success-rate", "request-duration"

CATALOGUE = (
    Mutant(name="errors-1", about="1 % of its answers are 503", annotations={"errors": "503:1"},
           pays="an error page", watched_by=(ERRORS,)),
    Mutant(name="errors-3", about="3 % of its answers are 503", annotations={"errors": "503:3"},
           pays="an error page", watched_by=(ERRORS,)),
    Mutant(name="errors-10", about="10 % of its answers are 503", annotations={"errors": "503:10"},
           pays="an error page", watched_by=(ERRORS,)),
    Mutant(name="errors-on-path", about="every answer at one path is 503",
           annotations={"errors": "503:100 path={path}"}, pays="a page that does not work",
           needs="few paths", watched_by=(ERRORS,)),
    Mutant(name="errors-for-header", about="every answer to users with one header is 503",
           annotations={"errors": "503:100 header={header}"}, pays="a group of users is locked out",
           needs="few headers", watched_by=(ERRORS,)),
    Mutant(name="p99-doubled", about="5 % of its answers take twice the p99", annotations={"delay": "{slow} 5%"},
           pays="waiting", watched_by=(DURATION,)),
    Mutant(name="memory-leak", about="each request keeps memory, until it is OOM-killed",
           annotations={"leak": "256Ki of {memory}", "back-off": "{pause}"}, pays="cut requests, then nobody answers",
           watched_by=(ERRORS,)),
    Mutant(name="crash", about="it crashes after some requests",
           annotations={"crash-after": "{requests}", "back-off": "{pause}"}, pays="cut requests, then nobody answers",
           watched_by=(ERRORS,)),
    Mutant(name="never-ready", about="it never becomes ready", annotations={"ready-after": "never"},
           pays="errors, if it gets traffic all the same", watched_by=(ERRORS,)),
    Mutant(name="bad-drain", about="it drops requests in flight on SIGTERM",
           annotations={"drain": "abrupt", "delay": "20ms"}, pays="cut requests in every later rollout", later=True),
    Mutant(name="lost-header", about="its answers lack content-type", annotations={"lose-headers": "content-type"},
           pays="clients that cannot read the answer"),
    Mutant(name="wrong-content", about="its answers are 200 and not what was asked for",
           annotations={"wrong-content": "100"}, pays="a wrong answer that looks right"),
    Mutant(name="downstream-overload", about=f"it calls what it depends on {TIMES} times a request",
           annotations={"calls-times": str(TIMES)}, pays="errors, also of users of the old version",
           needs="dependency", watched_by=(ERRORS,)),
    Mutant(name="identical", about="the same again", good=True),
    Mutant(name="slightly-slower", about="2 ms slower", annotations={"delay": "2ms"}, good=True),
    Mutant(name="base-noise", about="0.1 % of its answers are 503, as ever", annotations={"errors": "503:0.1"},
           good=True, pays="an error page, as ever"),
    Mutant(name="slow-start", about="it needs a second to become ready, which only a readinessProbe sees",
           annotations={"ready-after": "1s"}, good=True),
)  # fmt: skip

NAMES = tuple(mutant.name for mutant in CATALOGUE)


def chosen(names: Iterable[str] = ()) -> tuple[Mutant, ...]:
    """Those of these names, in the order of the catalogue; without names all."""
    wanted = list(names)
    for name in wanted:
        if name not in NAMES:
            near = nearest(name, NAMES)
            raise UsageError(
                f"no mutant {name!r}{f' (did you mean {near}?)' if near else ''}; known: {', '.join(NAMES)}"
            )
    return tuple(mutant for mutant in CATALOGUE if not wanted or mutant.name in wanted)
