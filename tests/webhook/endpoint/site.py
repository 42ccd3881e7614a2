"""An endpoint without a server: the ASGI application is called as uvicorn would, on a clock that tests set.

Its queue is the real one with workers that never start, so a run stays queued until a test says what becomes of it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from meshtest.webhook.app import App
from meshtest.webhook.auth import Guard
from meshtest.webhook.endpoint import Endpoint
from meshtest.webhook.jobs import Jobs, Limits
from meshtest.webhook.runs import RunState, StoredRun
from meshtest.webhook.store import Gate, Store
from meshtest.webhook.suites import Parameter, Suite

Found = TypeVar("Found")
SMOKE = Suite(name="smoke", path=Path("smoke"), parameters={"target": Parameter(default="http://web-canary")})
STRICT = Suite(
    name="strict", path=Path("strict"), parameters={"region": Parameter(pattern="[a-z]+")}, about="<b>all</b>"
)
PAYMENTS = Suite(name="payments", path=Path("payments"), namespaces=("pay-.*",))


class Answer(NamedTuple):
    status: int
    text: str
    headers: Mapping[str, str]

    @property
    def line(self) -> str:
        return self.text.split("\n", 1)[0]

    @property
    def data(self) -> Any:
        return json.loads(self.text)


class Clock:
    def __init__(self) -> None:
        self.at = 1_000_000.0

    def __call__(self) -> float:
        return self.at


class Site:
    """One endpoint, and those who ask it."""

    def __init__(self, folder: Path, *, guard: Guard | None = None, limits: Limits | None = None) -> None:
        self.clock = Clock()
        self.folder = folder
        self._guard, self._limits = guard, limits or Limits()
        self._runner = asyncio.Runner()
        self._open()

    def _open(self) -> None:
        self.store = Store(self.folder, self.clock)
        suites = {suite.name: suite for suite in (SMOKE, STRICT, PAYMENTS)}
        self.jobs = Jobs(self.store, suites, self.folder, self._limits, self.clock)
        self.endpoint = Endpoint(
            self.store, self.jobs, suites, limits=self._limits, guard=self._guard, body_limit=4096, url="http://gate",
            now=self.clock,
        )  # fmt: skip
        self.app = App(self.endpoint)

    def close(self) -> None:
        self.endpoint.close()
        self.jobs.close()
        self.store.close()
        self._runner.close()

    def restart(self) -> None:
        """What is not in the store is gone."""
        self.store.close()
        self._open()

    # ---- asking

    def wait(self, work: Coroutine[Any, Any, Found]) -> Found:
        return self._runner.run(work)

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        return self.wait(asked(self.app, method, path, [body], headers))

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, b"", {name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, **fields: Any) -> Answer:
        """A payload about shop/web, unless it says otherwise."""
        return self.ask("POST", path, json.dumps({"name": "web", "namespace": "shop", **fields}).encode())

    def hook(self, path: str, checksum: str, phase: str = "Progressing", **metadata: str) -> Answer:
        """As Flagger sends it."""
        return self.post(f"/hooks/{path}", checksum=checksum, phase=phase, metadata=metadata)

    # ---- what becomes of runs

    def run(self) -> StoredRun:
        """The latest."""
        return self.store.runs()[-1]

    def ends(self, state: RunState, reason: str = "", run: StoredRun | None = None) -> StoredRun:
        """The latest that is not over, or this one."""
        run = run or next(one for one in reversed(self.store.runs()) if not one.state.is_over)
        self.store.begin(run.id)
        return self.store.settle(run.id, state, reason)

    def gate(self, kind: str = "gate") -> Gate | None:
        return self.store.gate(kind, "shop", "web")


async def asked(
    app: Any, method: str, path: str, parts: list[bytes | None], headers: Mapping[str, str] | None = None
) -> Answer:
    """One request. At a part that is None the client leaves."""
    where, _, query = path.partition("?")
    sent: list[Any] = []
    scope = {
        "type": "http", "http_version": "1.1", "method": method, "path": where, "raw_path": where.encode(),
        "query_string": query.encode(), "root_path": "", "scheme": "http", "server": ("gate", 80),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
    }  # fmt: skip
    waiting = list(parts)

    async def receive() -> Any:
        part = waiting.pop(0) if waiting else b""
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *bodies = sent
    body = b"".join(one.get("body", b"") for one in bodies)
    told = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], body.decode("utf-8", "surrogateescape"), told)
