"""Run by locust, not by us: one user, told by the environment how fast to ask; writes a row for each request event.

Without a log it is a user as the documentation shows one, and nothing listens.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from locust import FastHttpUser, HttpUser, constant_throughput, events, task

RATE = float(os.environ["BENCH_RATE"])
"""Of one user; 0: no pause."""
TIMEOUT = float(os.environ["BENCH_TIMEOUT"])
_rows: list[tuple[int, float, int, str]] = []
_calls = 0

if os.environ.get("BENCH_LOG"):

    @events.request.add_listener
    def _heard(response_time, response, exception, **_):
        at = time.monotonic_ns() - round(response_time * 1e6)
        status = getattr(response, "status_code", 0) or 0
        _rows.append((at, response_time / 1e3, status, f"{type(exception).__name__} {exception}" if exception else ""))


@events.quit.add_listener
def _write(**_):
    if told := os.environ.get("BENCH_TOLD"):
        Path(told).write_text(json.dumps({"calls": _calls, "rows": _rows}))


def _count():
    """A call that has come back; at its end locust kills those that wait, which is nobody's failure."""
    global _calls
    _calls += 1


class _Paced:
    host = os.environ["BENCH_HOST"]
    if RATE:
        wait_time = constant_throughput(RATE)


class Fast(_Paced, FastHttpUser):
    network_timeout = connection_timeout = TIMEOUT

    @task
    def ask(self):
        self.client.get("/")
        _count()


class Http(_Paced, HttpUser):
    @task
    def ask(self):
        self.client.get("/", timeout=TIMEOUT)
        _count()
