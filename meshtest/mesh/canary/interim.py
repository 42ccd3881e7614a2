"""Hooks are assumed."""

from __future__ import annotations

from meshtest.model.rehearsal import Called
from meshtest.rollouts.canary.replies import NO, YES, Answer
from meshtest.rollouts.canary.spec import HookType
from meshtest.rollouts.canary.steps import CallHook


class Hooks:
    def call(self, step: CallHook) -> tuple[Answer, Called]:
        hook = step.hook
        answer = NO if hook.type is HookType.ROLLBACK or hook.url.endswith("/gate/halt") else YES
        return answer, Called(
            name=hook.name, type=hook.type, url=hook.url, ok=answer.ok, reason="not called", answered_by="assumed"
        )
