"""The steps of a run placed by time among those that the test itself told Allure: ours in theirs, theirs in ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from allure_commons.model2 import Attachment as Attached
from allure_commons.model2 import ExecutableItem, Parameter, StatusDetails, TestStepResult

from meshtest_allure.attachments import Attachment, diff
from meshtest_allure.steps import Step

Attach = Callable[[Attachment], Attached]
ROUNDED = 0.5
"""Milliseconds by which times may be off that somebody has rounded to whole ones."""


class Weaver:
    """Of our steps it knows the exact times, of theirs the millisecond; they get the benefit of the doubt."""

    def __init__(self, wall_start: float, attach: Attach) -> None:
        self._wall_start, self._attach = wall_start, attach
        self._exact: dict[int, tuple[float, float]] = {}

    def weave(self, result: ExecutableItem, ours: Sequence[Step]) -> None:
        self._place([self._told(step) for step in ours], result)

    def _place(self, new: Sequence[TestStepResult], within: ExecutableItem) -> None:
        """Among the steps that are there; neither these nor the new ones lie in each other."""
        there = list(within.steps)
        pairs = [(step, self._shortest_around(step, there)) for step in new]
        pairs += [(step, self._shortest_around(step, new)) for step in there]
        pairs.sort(key=lambda pair: self._bounds(pair[0]))
        within.steps[:] = [step for step, outer in pairs if outer is None]
        for outer in within.steps:
            self._place([step for step, around in pairs if around is outer], outer)

    def _shortest_around(self, step: TestStepResult, others: Sequence[TestStepResult]) -> TestStepResult | None:
        """Among the others' side. Of two that are as long, as far as one can tell, theirs is around ours."""
        start, end = self._bounds(step)
        more = -2 * ROUNDED if id(step) in self._exact else 2 * ROUNDED
        around = []
        for other in others:
            first, last = self._bounds(other)
            if first <= start + ROUNDED and end <= last + ROUNDED and last - first > end - start + more:
                around.append(other)
        return min(around, key=lambda other: other.stop - other.start, default=None)

    def _bounds(self, step: TestStepResult) -> tuple[float, float]:
        """In milliseconds of the wall clock."""
        return self._exact.get(id(step)) or (step.start, step.stop or step.start)

    def _told(self, step: Step) -> TestStepResult:
        start, end = ((self._wall_start + at) * 1000 for at in (step.start, step.end))
        told = TestStepResult(
            name=step.name,
            status=step.status,
            statusDetails=StatusDetails(message=step.why) if step.why else None,
            start=round(start),
            stop=round(end),
            parameters=[Parameter(name=name, value=value) for name, value in step.facts.items()],
            attachments=[self._attach(diff("diff", step.diff))] if step.diff else [],
            steps=[self._told(one) for one in step.steps],
        )
        self._exact[id(told)] = (start, end)
        return told
