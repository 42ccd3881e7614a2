"""The steps of a run placed by time among those that the test itself told Allure: ours in theirs, theirs in ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from allure_commons.model2 import Attachment as Attached
from allure_commons.model2 import ExecutableItem, Parameter, StatusDetails, TestStepResult

from meshtest_allure.attachments import Attachment, diff
from meshtest_allure.intervals import nested
from meshtest_allure.steps import Step

Attach = Callable[[Attachment], Attached]


class Weaver:
    """Of our steps it knows the exact times, of theirs the millisecond: theirs gets the benefit of the doubt."""

    def __init__(self, wall_start: float, attach: Attach) -> None:
        self._wall_start, self._attach = wall_start, attach
        self._exact: dict[int, tuple[float, float]] = {}

    def weave(self, result: ExecutableItem, ours: Sequence[Step]) -> None:
        self._place(result, [self._told(step) for step in ours])

    def _place(self, result: ExecutableItem, new: Sequence[TestStepResult]) -> None:
        pairs = nested([*result.steps, *new], self._bounds)
        result.steps[:] = [step for step, outer in pairs if outer is None]
        inner: dict[int, list[TestStepResult]] = {}
        for step, outer in pairs:
            inner.setdefault(id(outer), []).append(step)
        for step, _ in pairs:
            if id(step) in inner:
                self._place(step, inner[id(step)])

    def _bounds(self, step: TestStepResult) -> tuple[float, float]:
        """In milliseconds of the wall clock."""
        return self._exact.get(id(step)) or (step.start - 0.5, (step.stop or step.start) + 0.5)

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
