"""The webhooks of a rehearsal: who answers, and what Flagger makes of the answer.

    a URL that begins with one of `allow`        is called, as Flagger would call it
    gates and hooks of ours, any host            the embedded endpoint, with the suites given
    /gate/approve, /gate/halt                    what flagger-loadtester always says
    /gate/check of a confirm-* hook              a person is assumed to approve at once (`approve`)
    commands of flagger-loadtester, other URLs   nobody is asked: a yes is assumed, a no of rollback hooks

What is assumed says so, with the reason. No name inside a cluster is looked up. Waits between attempts pass on the
Canary's clock, and so do time-outs; but as a hook is no faster in a rehearsal, each attempt has at least LEAST seconds
of ours, or all of its time-out if that is shorter. Not here: when a hook is called (rollouts/canary), load tests
(traffic.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from meshtest.errors import UsageError
from meshtest.model.rehearsal import Called
from meshtest.rollouts.canary.replies import NO, YES, Answer
from meshtest.rollouts.canary.spec import Canary, Hook, HookType
from meshtest.rollouts.canary.steps import CallHook
from meshtest.webhook.client import Caller, Exchange
from meshtest.webhook.embedded import Embedded

LEAST = 5.0
"""Seconds of ours for an attempt: a hook that takes a second must not fail because time is compressed."""
FOREVER = 3600.0
"""Seconds, for a time-out of 0, which to Go is none at all."""
OURS = re.compile(r"/(?:gate|rollback)/[a-z]+|/hooks/[a-z-]+(?:/[^/]+)?|/launch-test")
"""Paths that our endpoint answers."""
CONSTANT = {"/gate/approve": YES, "/gate/halt": Answer(ok=False, reason="Forbidden")}
COMMANDS = ("bash", "helm", "helmv3", "kubectl", "cmd", "concord", "ngrinder")
CONFIRM = (HookType.CONFIRM_ROLLOUT, HookType.CONFIRM_TRAFFIC_INCREASE, HookType.CONFIRM_PROMOTION)


class Hooks:
    """Those of one rehearsal. `state`: a folder for what the embedded endpoint keeps."""

    def __init__(
        self,
        state: Path,
        *,
        allow: Sequence[str] = (),
        suites: Path | None = None,
        approve: bool = True,
        speed: float = 1.0,
        sleep: Callable[[float], None] = time.sleep,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._state, self._suites, self._approve, self._speed = state, suites, approve, speed
        self._allow = tuple(map(_checked, allow))
        self._wall = wall
        self._caller = Caller(sleep=lambda seconds: sleep(seconds / speed))
        self._endpoint: Embedded | None = None

    def prepare(self, canary: Canary) -> None:
        """Start the endpoint now if it will be asked, so that no tick waits for it."""
        if any(self._asks_endpoint(hook) for hook in canary.analysis.hooks):
            self._started()

    def call(self, step: CallHook) -> tuple[Answer, Called]:
        hook, payload = step.hook, step.payload.as_data()
        if hook.type is HookType.EVENT:
            stamp = str(int(self._wall() * 1000))
            payload["metadata"] = {**payload.get("metadata", {}), "timestamp": stamp}
        if self._is_allowed(hook.url):
            return self._told(hook, self._called(hook, hook.url, payload), by_url=True)
        if self._asks_endpoint(hook):
            url = self._started().url + self._compressed(hook.url)
            return self._told(hook, self._called(hook, url, payload), by_url=False)
        return self._assumed(hook)

    def close(self) -> None:
        if self._endpoint:
            self._endpoint.close()
            self._endpoint = None

    # ---- who answers

    def _is_allowed(self, url: str) -> bool:
        return any(url.startswith(one) and (one[-1] == "/" or url[len(one) :][:1] in "/?#") for one in self._allow)

    def _asks_endpoint(self, hook: Hook) -> bool:
        if self._suites is None or self._is_allowed(hook.url) or self._is_approved(hook):
            return False
        return OURS.fullmatch(urlsplit(hook.url).path) is not None

    def _is_approved(self, hook: Hook) -> bool:
        return self._approve and hook.type in CONFIRM and urlsplit(hook.url).path == "/gate/check"

    def _started(self) -> Embedded:
        if self._endpoint is None:
            assert self._suites is not None
            self._endpoint = Embedded(self._suites, self._state)
        return self._endpoint

    # ---- asking

    def _called(self, hook: Hook, url: str, payload: Mapping[str, object]) -> Exchange:
        limit = hook.timeout or FOREVER
        return self._caller.call(
            url,
            payload,
            timeout=limit if limit < 0 else max(limit / self._speed, min(limit, LEAST)),
            retries=hook.retries,
            insecure=hook.insecure,
        )

    def _compressed(self, url: str) -> str:
        """Path and query; a `wait` of the endpoint's is on the Canary's clock too."""
        parts = urlsplit(url)
        query = re.sub(
            r"(?<![^&])wait=(\d+(?:\.\d+)?)", lambda found: f"wait={float(found[1]) / self._speed:g}", parts.query
        )
        return f"{parts.path}?{query}" if query else parts.path

    def _told(self, hook: Hook, exchange: Exchange, *, by_url: bool) -> tuple[Answer, Called]:
        called = Called(
            name=hook.name, type=hook.type, url=hook.url, ok=exchange.ok, reason=self._explained(hook, exchange),
            attempts=max(1, len(exchange.attempts)), seconds=round(exchange.seconds, 3),
            answered_by="url" if by_url else "embedded",
        )  # fmt: skip
        return exchange.answer, called

    def _explained(self, hook: Hook, exchange: Exchange) -> str:
        """What Flagger would say; and that a time-out was not waited for as long as in production."""
        reason = exchange.reason.strip()
        limit = max(hook.timeout / self._speed, min(hook.timeout, LEAST))
        if "deadline exceeded" in reason and limit < hook.timeout:
            reason += f" (after {limit:g} s, for {hook.timeout:g} s of production)"
        return reason

    # ---- assuming

    def _assumed(self, hook: Hook) -> tuple[Answer, Called]:
        answer, why = self._assumption(hook)
        return answer, Called(
            name=hook.name, type=hook.type, url=hook.url, ok=answer.ok, reason=why, answered_by="assumed"
        )

    def _assumption(self, hook: Hook) -> tuple[Answer, str]:
        path = urlsplit(hook.url).path
        if path in CONSTANT:
            answer = CONSTANT[path]
            return answer, f"flagger-loadtester always says {'yes' if answer.ok else 'no'} here"
        if self._is_approved(hook):
            return YES, "a person is assumed to have opened the gate"
        silent = NO if hook.type is HookType.ROLLBACK or path == "/gate/check" else YES
        return silent, f"{_why_not_asked(hook, path)}: {'a yes' if silent.ok else 'a no'} is assumed"


def _why_not_asked(hook: Hook, path: str) -> str:
    if path in ("/gate/check", "/rollback/check"):
        return "nobody opens this gate in a rehearsal"
    if OURS.fullmatch(path):
        return "no suites were given (--suites)"
    kind = hook.metadata.get("type", "cmd" if "cmd" in hook.metadata else "")
    if kind in COMMANDS:
        return f"a command ({kind}) is not run here; flagger-loadtester would say {_loadtester(kind)}"
    return "its URL is not allowed (--allow-url)"


def _loadtester(kind: str) -> str:
    """Rows L17 to L28 of meshtest/webhook/loadtester.py."""
    background = kind in ("cmd", "ngrinder")
    return "yes at once, whatever comes of it" if background else "yes if it exits with 0, else no without its output"


def _checked(prefix: str) -> str:
    parts = urlsplit(prefix)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"--allow-url {prefix!r}: write the beginning of a URL, as http://localhost:8080/hooks/")
    return prefix
