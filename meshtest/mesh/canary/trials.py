"""The catalogue on a mesh: the same Canary against each version, one after the other, each in a run of its own.

    provider (warm) ── mesh ── Rehearsing ── run(the mutant) ── Trial
                        └ beside the users, our own client asks now and then and keeps the shape of the answers

Not here: the versions (mutants.py), how fast (pace.py), what came of one (trial.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.diff import dump
from meshtest.manifests.patch import put
from meshtest.manifests.reader import read
from meshtest.mesh.canary import stage
from meshtest.mesh.canary.answers import Seen, compare
from meshtest.mesh.canary.mutants import FEW, HEADER, PATH, ROOM, Mutant
from meshtest.mesh.canary.pace import Pace, pace
from meshtest.mesh.canary.revision import ANNOTATIONS
from meshtest.mesh.canary.traffic import Plan, Traffic, planned
from meshtest.mesh.canary.trial import Trial
from meshtest.mesh.opening import new_provider, open_mesh
from meshtest.model.document import Document, Documents
from meshtest.model.rehearsal import Rehearsal, TickRow
from meshtest.rollouts.canary.spec import Canary
from meshtest.settings import Settings

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh
    from meshtest.spi.provider import Provider

RATE = 150.0
"""Requests a second of the users where the Canary has no load test and none are given: more than a rehearsal of one
version sends, since a trial is shorter."""
ASKED = 20
"""Answers that our own client looks at after each tick: enough to meet a version that has a third of the users."""
LIVES = 20
"""Requests that a version serves at least that will crash."""
LEAKED = 256
"""KiB for each request."""
DEPENDENCY = "meshtest-dependency"
_COMPARED = ("Progressing", "WaitingPromotion")
"""Phases in which the primary is the running version and nothing else."""
_SOUND = {"meshtest.dev/drain": "graceful", "meshtest.dev/delay": "0ms"}
"""The version after one that ends badly."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """What all trials of one Canary have in common."""

    files: Sequence[str | Path]
    settings: Settings
    name: str = ""
    """Which Canary, where the files hold several."""
    flavour: str = ""
    """Flagger's provider, where the Canary names none."""
    traffic: Sequence[str] = ()
    allow: Sequence[str] = ()
    assume: Mapping[str, float] = field(default_factory=dict)
    speed: float | None = None
    """None: chosen."""
    p99: float = 0.1
    """Seconds: of the version that runs in production."""
    command: str = ""
    base: Path | None = None

    @cached_property
    def _documents(self) -> Documents:
        return read(*map(str, self.files), base=self.base)

    @cached_property
    def canary(self) -> Canary:
        """As read from the manifests."""
        return stage.canary_of(self._documents, self.name, self.flavour)

    @cached_property
    def plan(self) -> Plan:
        """Who the users are; those that nobody named come in larger number."""
        found = planned(self.canary, self.traffic)
        if not any(note.startswith("no load test calls the service") for note in found.notes):
            return found
        return replace(found, users=tuple(replace(user, rate=RATE) for user in found.users))

    @property
    def rate(self) -> float:
        """Of all users."""
        return sum(user.rate for user in self.plan.users)

    @cached_property
    def pace(self) -> Pace:
        return pace(self.canary, self.rate, self.speed)

    def run(self, mutants: Sequence[Mutant]) -> Iterator[Trial]:
        """One after the other, on one provider that stays warm. UsageError before anything starts."""
        _ = self.pace
        settings = replace(self.settings, images={})
        with contextlib.closing(new_provider(settings, early=True)) as provider:
            for mutant in mutants:
                yield self._trial(mutant, settings, provider)

    def _trial(self, mutant: Mutant, settings: Settings, provider: Provider) -> Trial:
        name = f"{self.canary.name}-{mutant.name}"
        with open_mesh(name, settings, command=self.command, provider=provider) as mesh:
            rehearsing = mesh.canary(
                *self.files, text=self.more(mutant), base=self.base, name=self.name, provider=self.flavour,
                speed=self.pace.speed, traffic=self.users(mutant), allow=self.allow, assume=self.assume,
            )  # fmt: skip
            looking = _Looking(mesh, f"{self.canary.target}-primary", self.plan.users[0])
            annotations = mutant.annotated(self.values)
            found = rehearsing.run(to=mutant.name, annotations=annotations, told=looking.look)
            later: Rehearsal | None = None
            if mutant.later and found.ending == "promoted":
                later = rehearsing.run(to="next", annotations=_SOUND)
            return Trial(mutant, found, compare(looking.seen), later)

    # ---- what a mutant needs

    def users(self, mutant: Mutant) -> tuple[Traffic, ...]:
        """The users of the Canary, and those few that one mutant treats otherwise."""
        few = self._few(mutant)
        return (*self.plan.users, few) if few else self.plan.users

    def _few(self, mutant: Mutant) -> Traffic | None:
        first = self.plan.users[0]
        rate = max(1.0, FEW * self.rate)
        if mutant.needs == "few headers":
            return replace(first, rate=rate, headers=(*first.headers, HEADER.replace(":", ": ", 1)))
        if mutant.needs == "few paths" and not self._own_path:
            method, _, url = first.request.rpartition(" ")
            return replace(first, rate=rate, request=f"{method or 'GET'} {urlsplit(url)._replace(path=PATH).geturl()}")
        return None

    @property
    def _own_path(self) -> str:
        """A path that some users ask for and others do not; empty: there is none."""
        paths = [urlsplit(user.request.rpartition(" ")[2]).path or "/" for user in self.plan.users]
        found = {path for path in paths if not all(other.startswith(path) for other in paths)}
        return min(found, default="")

    @property
    def values(self) -> dict[str, str]:
        """What the annotations of mutants leave open."""
        requests = max(LIVES, round(self.pace.requests / 2))
        return {
            "slow": f"{2 * self.p99 * 1e3:g}ms",
            "path": self._own_path or PATH,
            "header": HEADER,
            "requests": str(requests),
            "pause": f"{10_000 / self.pace.speed:.0f}ms",
            "memory": f"{min(requests * LEAKED, 256 * 1024)}Ki",
        }

    def more(self, mutant: Mutant) -> str:
        """Manifests besides those of the user: a service that can take a little more than it is sent, which the
        running version calls once a request."""
        if mutant.needs != "dependency":
            return ""
        documents, _ = stage.furnished(self.canary, self._documents)
        target = stage.target_document(self.canary, documents)
        return "---\n".join([dump(_calling(target)), *map(dump, _dependency(target.namespace, ROOM * self.rate))])


class _Looking:
    """Our own client: keeps the shape of some answers of each tick."""

    def __init__(self, mesh: Mesh, primary: str, user: Traffic) -> None:
        self._mesh, self._primary, self._user = mesh, primary, user
        self.seen: list[Seen] = []

    def look(self, row: TickRow) -> None:
        if row.phase not in _COMPARED:
            return
        for _ in range(ASKED):
            reply = self._mesh.ask(self._user.request, source=self._user.source, headers=self._user.headers)
            if seen := Seen.of(reply, self._primary):
                self.seen.append(seen)


def _calling(target: Document) -> Document:
    known = target.data["spec"]["template"].get("metadata", {}).get("annotations") or {}
    calls = f"{known.get('meshtest.dev/calls', '')} http://{DEPENDENCY}.{target.namespace}/".strip()
    return put(target, (*ANNOTATIONS, "meshtest.dev/calls"), calls)


def _dependency(namespace: str, capacity: float) -> list[Document]:
    labels = {"app": DEPENDENCY}
    metadata = {"name": DEPENDENCY, "namespace": namespace}
    container = {"name": "app", "image": "stand-in:v1", "ports": [{"containerPort": 8080}]}
    template = {
        "metadata": {"labels": labels, "annotations": {"meshtest.dev/capacity": f"{capacity:g}rps"}},
        "spec": {"containers": [container]},
    }
    deployment = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata,
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }  # fmt: skip
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": metadata,
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
    }  # fmt: skip
    return [Document(deployment, "<mutant>"), Document(service, "<mutant>")]
