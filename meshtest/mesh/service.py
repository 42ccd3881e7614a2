"""`mesh["web"]`, `mesh["web"]["v2"]`: what a test does to a service and to one version of it."""

from __future__ import annotations

import signal as signals
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from meshtest.errors import UsageError
from meshtest.lib.words import listed, nearest
from meshtest.manifests import apex
from meshtest.manifests.shares import shares
from meshtest.mesh import conditions
from meshtest.mesh.shadow import Shadow
from meshtest.model.route import Match
from meshtest.model.service import Service, Workload
from meshtest.model.topology import key
from meshtest.spi.provider import Pod

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh

READS = frozenset({"GET", "HEAD", "OPTIONS"})


class ServiceHandle:
    """One service of the mesh. Changes return when every proxy has them."""

    def __init__(self, mesh: Mesh, service: Service) -> None:
        self._mesh, self.service = mesh, service
        self.name = service.name
        self.host = service.fqdn

    def __repr__(self) -> str:
        return f"mesh[{self.name!r}]"

    def __getitem__(self, version: str) -> VersionHandle:
        if version not in self.versions:
            hint = nearest(version, self.versions)
            raise UsageError(
                f"{self.name} has no version {version!r}; it has {listed(self.versions) or 'none'}"
                + (f" (did you mean {hint!r}?)" if hint else "")
            )
        return VersionHandle(self, version)

    @property
    def versions(self) -> list[str]:
        """In the order of their Deployments."""
        return list(dict.fromkeys(w.version for w in self.workloads))

    @property
    def workloads(self) -> Sequence[Workload]:
        return apex.backends(self._mesh.topology, self.service)

    @property
    def shares(self) -> Mapping[str, float]:
        """The split the configuration in force intends, percent by version."""
        return shares(self._mesh.topology, self.host)

    # ---- traffic

    def shift(self, weights: Mapping[str, int] | None = None, /, *, rule: str = "", **versions: int) -> None:
        """Give versions their share in percent: `shift(v2=10)`, `shift({"v2-canary": 10})`.

        What is left of 100 goes to the versions that are not named, in proportion to what they have now. Rules that
        select users (by header, cookie, query, caller) stay as they are unless `rule` names one.
        """
        asked = {**(weights or {}), **versions}
        goal = self._rest(asked)
        reason = f"shift {self.name} " + " ".join(f"{v}={w}" for v, w in goal.items())
        self._mesh.edit(reason, lambda d, docs, t: d.set_weights(docs, t, self.host, goal, rule=rule))

    def _rest(self, asked: Mapping[str, int]) -> dict[str, int]:
        if not asked:
            raise UsageError(f"{self!r}.shift() needs a version and its share in percent, as in shift(v2=10)")
        left = 100 - sum(asked.values())
        if left < 0:
            raise UsageError(f"{self!r}.shift(): the shares add up to {100 - left} %, more than 100")
        others = {v: s for v, s in self.shares.items() if v not in asked and s > 0}
        if left and not others:
            others = dict.fromkeys((v for v in self.versions if v not in asked), 1.0)
        if left and not others:
            raise UsageError(f"{self!r}.shift(): {left} % are left over and there is no other version to take them")
        return {**_spread(left, others), **asked}

    def mirror(self, version: str, *, to: str, percent: float = 100.0, rule: str = "") -> None:
        """All users get `version`; copies of their requests go to `to`, answers to those are dropped; 0 ends it."""
        if percent:
            self._mesh.edit(
                f"send {self.name} to {version} and mirror it to {to} ({percent:g} %)",
                lambda d, docs, t: d.set_mirror(
                    d.set_weights(docs, t, self.host, {version: 100}, rule=rule),
                    t,
                    self.host,
                    to,
                    percent=percent,
                    rule=rule,
                ),
            )
        else:
            self._mesh.edit(
                f"end the mirror of {self.name} to {to}",
                lambda d, docs, t: d.set_mirror(docs, t, self.host, to, percent=0, rule=rule),
            )

    def match(
        self,
        *,
        to: str,
        headers: Mapping[str, str] | None = None,
        cookies: Mapping[str, str] | None = None,
        path: str = "",
    ) -> None:
        """Send requests with these headers, cookies or this path prefix to a version, before every other rule."""
        condition = conditions.match(headers=headers, cookies=cookies, path=path)
        if condition == Match():
            raise UsageError(f"{self!r}.match(to={to!r}) needs a condition: headers=, cookies= or path=")
        self._mesh.edit(
            f"send matching requests of {self.name} to {to}",
            lambda d, docs, t: d.set_match(docs, t, self.host, condition, to),
        )

    # ---- what it did

    def writes(self, *, by: str = "") -> int:
        """Requests other than GET, HEAD and OPTIONS that it got, from anyone or from one caller (`web`, `web@v2`)."""
        callers = {key(w) for w in self._mesh.find(by)} if by else None
        hops = self._mesh.hops()
        return sum(
            h.direction == "outbound"
            and h.server.service == self.name
            and h.method not in READS
            and (callers is None or h.proxy in callers)
            for h in hops
        )


class VersionHandle:
    """One version of a service: its pods and what they do."""

    def __init__(self, parent: ServiceHandle, version: str) -> None:
        self._parent, self.version = parent, version
        self._mesh = parent._mesh

    def __repr__(self) -> str:
        return f"{self._parent!r}[{self.version!r}]"

    @property
    def service(self) -> ServiceHandle:
        return self._parent

    @property
    def workloads(self) -> list[Workload]:
        return [w for w in self._parent.workloads if w.version == self.version]

    @property
    def pods(self) -> list[Pod]:
        return [p for w in self.workloads for p in self._mesh.provider.pods(key(w))]

    def terminate(self, *, grace: float | None = None) -> None:
        """End every pod as a kubelet does: out of the endpoints, preStop, SIGTERM, grace period, SIGKILL."""
        self._mesh.provider.terminate(*(p.name for p in self.pods), grace=grace)
        self.scale(0)  # or the next change would start them again

    def kill(self, signal: int = signals.SIGKILL) -> None:
        """Send a signal to the process of every pod: a crash, as far as the mesh can see."""
        for pod in self.pods:
            self._mesh.provider.kill(pod.name, signal)

    def scale(self, replicas: int) -> None:
        """As `kubectl scale`; returns when the new pods are ready or the surplus ones are gone."""
        for workload in self.workloads:
            self._mesh.scale(key(workload), replicas)

    @property
    def shadow(self) -> Shadow:
        """Requests it got as mirrored copies."""
        return Shadow(self._mesh.history(flushed=True), self._parent.name, self.version)


def _spread(total: int, parts: Mapping[str, float]) -> dict[str, int]:
    """Whole percent in proportion to the parts; what rounding leaves goes to the largest remainders."""
    if not total:
        return {}
    whole = sum(parts.values())
    exact = {name: total * part / whole for name, part in parts.items()}
    result = {name: int(value) for name, value in exact.items()}
    remainders = sorted(exact, key=lambda name: result[name] - exact[name])
    for name in remainders[: total - sum(result.values())]:
        result[name] += 1
    return result
