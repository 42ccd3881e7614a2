"""One Deployment on its way to what is asked for: which of its pods are of the new template, and what comes next."""

from __future__ import annotations

from meshtest.model.service import Workload
from meshtest.model.topology import key
from meshtest_envoy import rolling
from meshtest_envoy.fleet import Fleet, Running


class Rollout:
    """A view on the fleet; it changes nothing itself."""

    def __init__(self, fleet: Fleet, workload: Workload) -> None:
        self._fleet = fleet
        self.workload = workload
        limits = (0, workload.replicas) if workload.recreate else (workload.max_surge, workload.max_unavailable)
        self._surge, self._unavailable = rolling.limits(*limits, workload.replicas)

    def _pods(self) -> tuple[list[Running], list[Running]]:
        """Pods of the new template and older ones that are not on their way out."""
        alive = [p for p in self._fleet.pods(key(self.workload)) if not (p.terminating or p.gone)]
        new = [p for p in alive if alike(p.workload, self.workload)]
        return new, [p for p in alive if p not in new]

    @property
    def outdated(self) -> list[Running]:
        """Pods of another template: what a rollout replaces, and what one that failed leaves behind."""
        return self._pods()[1]

    @property
    def done(self) -> bool:
        new, old = self._pods()
        return not old and len(new) == self.workload.replicas and all(p.published for p in new)

    @property
    def needed(self) -> bool:
        """Pods are missing or of an old template; surplus alone is none of a rollout's business before the routes."""
        return not self.done

    @property
    def leaving(self) -> list[Running]:
        """Pods that were told to end and have not yet."""
        return [p for p in self._fleet.pods(key(self.workload)) if p.terminating and not p.gone]

    def next_step(self) -> rolling.Step:
        new, old = self._pods()
        counts = rolling.Counts(
            desired=self.workload.replicas,
            new=len(new),
            new_ready=sum(p.published for p in new),
            old=len(old),
            old_ready=sum(p.published for p in old),
        )
        if self.workload.recreate and old:
            return rolling.Step(0, len(old))
        return rolling.next_step(counts, surge=self._surge, unavailable=self._unavailable)

    def next_to_go(self, count: int) -> list[Running]:
        """Old pods first, those that are not ready before the others; then surplus new ones, youngest first."""
        new, old = self._pods()
        order = [*sorted(old, key=lambda p: p.published), *reversed(new)]
        return order[:count]


def alike(one: Workload, other: Workload) -> bool:
    """Their pods are of one template. A document that did not change compiles to the same object."""
    return one is other or one.template == other.template
