"""How many requests a canary gets to answer, and the traffic that its document tells of: an annotation, or a load test.

Of load tests hey is understood, which Flagger's own examples use: `-q` is a rate for each of `-c` workers. Not here:
sending any.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from meshtest.lib.dataclass import dataclass
from meshtest.model.document import Document

RPS = "meshtest.dev/rps"
"""Annotation: the requests per second that the service gets."""
WORKERS = 50.0
"""hey's own default."""
_HEY = re.compile(r"\bhey\b.*", re.DOTALL)
_DIRECT = re.compile(r"//[\w-]+-canary[.:/]")
_NUMBER = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True)
class Arrivals:
    """Requests of one window: so many of users, each with a chance to come to the canary; fractions are averages."""

    users: float
    share: float

    @property
    def expected(self) -> float:
        return self.users * self.share


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Requests per second."""

    rps: float
    """Of users, through the split."""
    direct: float = 0.0
    """Of a load test that goes to the canary itself."""
    even: bool = False
    """Each weight gets exactly its share; otherwise each request is drawn, as Envoy does."""

    def times(self, factor: float) -> Traffic:
        return replace(self, rps=self.rps * factor, direct=self.direct * factor)

    def arrivals(self, share: float, seconds: float) -> Arrivals:
        """Where a load test comes beside users, the split counts as even."""
        if self.even or self.direct:
            return Arrivals((self.rps * share + self.direct) * seconds, 1.0)
        return Arrivals(self.rps * seconds, share)


def declared(document: Document) -> Traffic | None:
    """The annotation is the users' traffic; a load test is too, unless it goes to the canary's own Service."""
    annotations = document.metadata.get("annotations")
    written = str(annotations.get(RPS, "")) if isinstance(annotations, dict) else ""
    users, direct = load_tests(document)
    if _NUMBER.fullmatch(written):
        users = float(written)
    return Traffic(rps=users, direct=direct) if users or direct else None


def load_tests(document: Document) -> tuple[float, float]:
    """Requests per second through the service, and straight to the canary."""
    users = direct = 0.0
    for hook in _webhooks(document):
        metadata = hook.get("metadata")
        command = metadata.get("cmd") if isinstance(metadata, dict) else None
        if found := _HEY.search(command) if isinstance(command, str) else None:
            rate = _rate(found[0])
            if _DIRECT.search(found[0]):
                direct = max(direct, rate)
            else:
                users = max(users, rate)
    return users, direct


def _rate(command: str) -> float:
    """0 when nothing limits it: then the rate depends on the service."""
    rate, workers = (re.search(rf"\s-{flag}[\s=]*(\d+)", command) for flag in "qc")
    return float(rate[1]) * (float(workers[1]) if workers else WORKERS) if rate else 0.0


def _webhooks(document: Document) -> list[Mapping[str, Any]]:
    spec = document.data.get("spec")
    analysis = spec.get("analysis") if isinstance(spec, dict) else None
    found = analysis.get("webhooks") if isinstance(analysis, dict) else None
    return [hook for hook in found if isinstance(hook, dict)] if isinstance(found, list) else []
