"""What a tick asks and does, one step at a time. A tick yields these; whoever drives it performs them and replies.

So the same tick runs on data (driver.advance), and against real processes, where order matters: a route is set before
the hook is called that comes after it.
"""

from __future__ import annotations

import enum
from collections.abc import Generator, Mapping
from dataclasses import field
from typing import Any, TypeAlias, TypeVar

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.canary.replies import Reply
from meshtest.rollouts.canary.spec import Hook, Metric, Severity
from meshtest.rollouts.canary.state import Phase, Routes


class Refused(Exception):
    """A deed could not be done; thrown into the tick, it becomes the event that Flagger would write."""


class Who(enum.StrEnum):
    """Which of the two workloads."""

    PRIMARY = "primary"
    CANARY = "canary"


class Source(enum.StrEnum):
    """Where the query of a metric comes from."""

    BUILTIN = "builtin"
    INLINE = "inline"
    TEMPLATE = "template"


# -- questions


@dataclass(frozen=True)
class IsReady:
    """Is the workload rolled out? Reply: Readiness."""

    who: Who


@dataclass(frozen=True, kw_only=True)
class Payload:
    """The body of a webhook call. It says neither which hook calls, nor the weight."""

    name: str
    namespace: str
    phase: Phase
    checksum: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    def as_data(self) -> dict[str, Any]:
        """As JSON: metadata is left out when there is none."""
        named = {"name": self.name, "namespace": self.namespace, "phase": str(self.phase), "checksum": self.checksum}
        return {**named, "metadata": dict(self.metadata)} if self.metadata else named


@dataclass(frozen=True)
class CallHook:
    """POST to a webhook. Reply: Answer."""

    hook: Hook
    payload: Payload


@dataclass(frozen=True)
class Measure:
    """Run the query of a metric. Reply: Reading."""

    metric: Metric
    source: Source


@dataclass(frozen=True)
class MetricsOnline:
    """Do the metric servers answer? Reply: Answer."""


# -- deeds


@dataclass(frozen=True)
class CreatePrimary:
    """Copy the target to `<target>-primary`."""

    revision: str
    replicas: int


@dataclass(frozen=True)
class CreateRoutes:
    """Take over the service: its route, and the Services behind it."""

    routes: Routes


@dataclass(frozen=True)
class SetRoutes:
    """Write weights and mirror into the route."""

    routes: Routes


@dataclass(frozen=True)
class Scale:
    """Give the target this many replicas."""

    replicas: int


@dataclass(frozen=True)
class Promote:
    """Copy the target's pods and configuration to the primary."""

    revision: str


# -- words


@dataclass(frozen=True)
class Event:
    """A Kubernetes event of the Canary."""

    warning: bool
    phase: Phase
    """Of the object that the event is about, which is often the phase that the tick began with."""
    message: str

    def __str__(self) -> str:
        return f"{'Warning' if self.warning else 'Normal'} {self.message}"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A message to people."""

    severity: Severity
    message: str
    detailed: bool = False
    """With target, threshold, deadline and steps."""
    to: tuple[str, ...] | None = None
    """The Canary's own alert rules that take it; None: Flagger's global notifier."""


@dataclass(frozen=True)
class Note:
    """Flagger does here what its documentation does not say: a code of surprises.py."""

    code: str


Question: TypeAlias = IsReady | CallHook | Measure | MetricsOnline
Deed: TypeAlias = CreatePrimary | CreateRoutes | SetRoutes | Scale | Promote
Word: TypeAlias = Event | Alert | Note
Step: TypeAlias = Question | Deed | Word

T = TypeVar("T")
Script: TypeAlias = Generator[Step, Reply, T]
"""A part of a tick: yields steps, is sent the replies, returns a T."""
