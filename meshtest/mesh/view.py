"""What a test looks at: the requests of a load, or those of one window, with plain properties to assert on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from meshtest.checks.certificate import Certificate, certificate
from meshtest.checks.failures import Failure, failures
from meshtest.checks.masked import MaskedOutage, masked_outages
from meshtest.checks.outages import Outage, outages
from meshtest.checks.share import Share, shares
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.model.history import History
from meshtest.model.request import Request, Requests
from meshtest.model.settled import settled
from meshtest.model.sightings import sightings
from meshtest.model.tables import quantile


@dataclass(frozen=True)
class View:
    """Requests of a history, by themselves."""

    history: History

    @classmethod
    def of_load(cls, history: History, load: str) -> View:
        return cls(replace(history, requests=history.requests.of_load(load)))

    @classmethod
    def settled(cls, history: History, load: str) -> View:
        """Up to the first request that has not ended: of those behind it only the fast ones have, and they would tell
        a share or a latency that is not true."""
        return cls(replace(history, requests=settled(history.requests.of_load(load))))

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def requests(self) -> Requests:
        return self.history.requests

    @property
    def failures(self) -> Sequence[Failure]:
        """Requests users would call failed, in order, each with its cause in the proxies' words."""
        return failures(self.history)

    @property
    def outages(self) -> Sequence[Outage]:
        """Windows of failed requests: length with its error, what was hit, what happened just before and during."""
        return outages(self.history)

    @property
    def masked_outages(self) -> Sequence[MaskedOutage]:
        """Windows in which only a retry saved requests, or they were held up as if it had."""
        return masked_outages(self.history)

    @property
    def certificate(self) -> Certificate:
        """What could have been missed."""
        return certificate(self.history)

    @property
    def versions(self) -> set[str]:
        """Versions that answered users."""
        return {r.version for r in self.requests if r.answered and r.version}

    def slowest(self, version: str = "", *, traced: bool = False) -> Request:
        """The answered request with the longest latency; `traced`: of those whose trace was asked for."""
        found = self._answered(version)
        if traced:
            from meshtest.model.trace_ids import ALL_TRACED, TraceIds  # few ask for traces

            ids = TraceIds.of(self.history)
            found = [r for r in found if ids.traced(r.load, r.index)]
            if not found:
                raise UsageError(f"none of these requests was traced; {ALL_TRACED}")
        return max(found, key=lambda r: r.latency or 0.0)

    def first_failed(self) -> Request:
        """The first request that a user would call failed; UsageError if there is none."""
        for failure in self.failures:
            return failure.request
        raise UsageError(f"none of {len(self)} requests failed, so there is no first one")

    def share(self, version: str, *, host: str = "") -> Share:
        """How many of the requests the version served; `host` may be a service further down the call graph."""
        if host:
            counts = sightings(self.history, host).count(self.history.start, self.history.end)
            return Share(counts[version], counts.total())
        found = shares(self.requests)
        return found.get(version, Share(0, sum(s.hits for s in found.values())))

    def quantile(self, p: float, version: str = "") -> float:
        """Latency in seconds from the intended time, exact; of answered requests."""
        return quantile(sorted(r.latency or 0.0 for r in self._answered(version)), p)

    def p50(self, version: str = "") -> float:
        return self.quantile(0.5, version)

    def p99(self, version: str = "") -> float:
        return self.quantile(0.99, version)

    def _answered(self, version: str) -> list[Request]:
        found = [r for r in self.requests if r.answered and version in ("", r.version)]
        if not found:
            raise UsageError(
                f"no request was answered{f' by {version}' if version else ''}: there is no latency to tell"
            )
        return found
