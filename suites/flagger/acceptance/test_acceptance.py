"""What a canary must hold before it gets users: asked of its own Service, `NAME-canary`, which has none yet.

Flagger starts this by a webhook; by hand: MESHTEST_PARAM_TARGET=http://127.0.0.1:9898/ pytest suites/flagger/acceptance
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest


class Answered(NamedTuple):
    status: int
    """0: there was no answer."""
    seconds: float


def asked(target: str, number: int) -> list[Answered]:
    """One after the other, each on a connection of its own, as a probe."""
    return [_ask(target) for _ in range(number)]


def _ask(target: str) -> Answered:
    parts, began = urlsplit(target), time.monotonic()
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=10)
    try:
        connection.request("GET", parts.path or "/", headers={"User-Agent": "meshtest acceptance"})
        response = connection.getresponse()
        response.read()
        return Answered(response.status, time.monotonic() - began)
    except (OSError, http.client.HTTPException):
        return Answered(0, time.monotonic() - began)
    finally:
        connection.close()


@pytest.fixture(scope="module")
def answers(params: Mapping[str, str]) -> list[Answered]:
    if "target" not in params:
        pytest.skip("no target: Flagger's webhook names it, or MESHTEST_PARAM_TARGET=http://...")
    return asked(params["target"], int(params.get("requests", "100")))


def test_every_request_is_answered(answers: list[Answered]) -> None:
    failed = [one.status for one in answers if not 200 <= one.status < 400]
    assert not failed, f"{len(failed)} of {len(answers)} failed, the first with {failed[0] or 'no answer'}"


def test_it_is_fast_enough(answers: list[Answered], params: Mapping[str, str]) -> None:
    slowest = sorted(one.seconds for one in answers)
    p99, limit = slowest[-1 - len(slowest) // 100] * 1e3, float(params.get("p99", "500"))
    assert p99 <= limit, f"p99 is {p99:.0f} ms, over {limit:g} ms"
