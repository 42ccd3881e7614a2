"""The acceptance suite that the endpoint runs for Flagger, held against a canary that is fit, and planted ones that are
not. How the endpoint runs it, and what Flagger makes of that: tests/webhook/test_flagger_program.py in the checkout."""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


def _suite() -> Any:
    """It stands alone: the endpoint copies it into an image without us."""
    path = Path(__file__).parent / "acceptance" / "test_acceptance.py"
    spec = importlib.util.spec_from_file_location("acceptance", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ACCEPTANCE = _suite()
REQUESTS = 20


@contextlib.contextmanager
def canary(status: Callable[[int], int]) -> Iterator[str]:
    """`status` of the nth request, from 0."""
    numbers = itertools.count()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status(next(numbers)))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = threading.Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def test_a_fit_canary_is_accepted() -> None:
    with canary(lambda _: 200) as target:
        answers = ACCEPTANCE.asked(target, REQUESTS)
    ACCEPTANCE.test_every_request_is_answered(answers)
    ACCEPTANCE.test_it_is_fast_enough(answers, {"p99": "60000"})


def test_a_canary_that_fails_now_and_then_is_caught() -> None:
    with canary(lambda number: 503 if number % 10 == 9 else 200) as target:
        answers = ACCEPTANCE.asked(target, REQUESTS)
    with pytest.raises(AssertionError, match="2 of 20 failed, the first with 503"):
        ACCEPTANCE.test_every_request_is_answered(answers)


def test_a_canary_that_is_gone_is_caught() -> None:
    with socket.socket() as nobody:  # bound, so that nobody else can listen there
        nobody.bind(("127.0.0.1", 0))
        answers = ACCEPTANCE.asked(f"http://127.0.0.1:{nobody.getsockname()[1]}/", REQUESTS)
    with pytest.raises(AssertionError, match="20 of 20 failed, the first with no answer"):
        ACCEPTANCE.test_every_request_is_answered(answers)


def test_a_slow_canary_is_caught() -> None:
    answers = [ACCEPTANCE.Answered(200, 0.01)] * 98 + [ACCEPTANCE.Answered(200, 0.8)] * 2
    with pytest.raises(AssertionError, match="p99 is 800 ms, over 500 ms"):
        ACCEPTANCE.test_it_is_fast_enough(answers, {})
