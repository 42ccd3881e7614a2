"""How the child speaks to the runner, and hears from it. Lines of JSON out; length and JSON, then short lines, in."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import gevent
from gevent import monkey
from gevent.socket import wait_read

ORPHANED = 4
"""Exit code: whoever started us is gone."""
_WATCH = 0.3


def hear(pipe: int) -> dict[str, Any]:
    """The order."""
    size = int.from_bytes(_exactly(pipe, 4), "little")
    order: dict[str, Any] = json.loads(_exactly(pipe, size))
    return order


def _exactly(pipe: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(pipe, size - len(data))
        if not piece:
            sys.exit(ORPHANED)
        data += piece
    return data


class Voice:
    """Writes whole lines; a locustfile's own prints go to the log."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)

    def say(self, **what: Any) -> None:
        os.write(self._out, json.dumps(what).encode() + b"\n")


def take_stdin() -> int:
    """Standard input for us alone; Locust and the locustfile find it empty."""
    pipe = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


def watch(pipe: int, heard: Callable[[bytes], None]) -> None:
    """Call `heard` with each line; end this process when the other end of the pipe closes, or when the parent is gone,
    even while a locustfile keeps every greenlet from running."""
    parent = os.getppid()
    sleep = monkey.get_original("time", "sleep")

    def listen() -> None:
        while True:
            wait_read(pipe)
            text = os.read(pipe, 4096)
            if not text:
                os._exit(ORPHANED)
            for line in text.splitlines():
                heard(line)

    def look() -> None:
        while os.getppid() == parent:
            sleep(_WATCH)
        os._exit(ORPHANED)

    gevent.spawn(listen)
    monkey.get_original("_thread", "start_new_thread")(look, ())
