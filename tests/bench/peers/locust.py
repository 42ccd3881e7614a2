"""Locust as its documentation runs it, without a web page: users in a closed loop, or each at a rate of its own."""

from __future__ import annotations

import importlib.util
import json
import sys
from math import ceil, inf
from pathlib import Path
from typing import Any

from tests.bench.peers.engine import Engine
from tests.bench.peers.tool import TIMEOUT, Order, Program, Row, Told, what

FILE = Path(__file__).with_name("locustfile.py")


def by_meshtest() -> Engine:
    """FastHttpUser as `mesh.load(locustfile=...)` runs it."""

    def options(order: Order) -> dict[str, Any]:
        return {
            "locustfile": FILE, "users": order.users, "spawn_rate": order.users, "classes": ["Fast"],
            "seconds": ceil(order.seconds), "stop_timeout": 2 * TIMEOUT,
            "environment": _environment(order) | {"BENCH_HOST": "http://web"},
        }  # fmt: skip

    return Engine("FastHttpUser by meshtest", "locust", options, _missing())


class Locust(Program):
    """`user`: Fast (FastHttpUser) or Http (HttpUser), as in locustfile.py."""

    program = "locust"

    def __init__(self, user: str) -> None:
        self.user = user
        self.name = f"{user}{'HttpUser' if user == 'Fast' else 'User'}"
        self.most = inf if user == "Fast" else 500.0

    def missing(self) -> str:
        return _missing()

    def command(self, order: Order, folder: Path) -> list[str]:
        host = {"BENCH_HOST": f"http://127.0.0.1:{order.port}", "BENCH_TOLD": "told.json"}
        words = [f"{name}={value}" for name, value in (_environment(order) | host).items()]
        users = ["-u", str(order.users), "-r", str(order.users), self.user]
        length = ["-t", f"{ceil(order.seconds)}s", "--stop-timeout", f"{2 * TIMEOUT:g}"]
        quiet = ["--headless", "--only-summary", "--loglevel", "ERROR", "--exit-code-on-error", "0"]
        return ["/usr/bin/env", *words, sys.executable, "-m", "locust", "-f", str(FILE), *quiet, *length, *users]

    def told(self, order: Order, folder: Path, output: str) -> Told:
        path = folder / "told.json"
        said = json.loads(path.read_text())
        rows = sorted(Row(at, seconds, what(status, error, seconds)) for at, seconds, status, error in said["rows"])
        return Told.of_rows(rows, calls=said["calls"])


def _missing() -> str:
    return "" if importlib.util.find_spec("locust") else "not installed"


def _environment(order: Order) -> dict[str, str]:
    """What locustfile.py reads."""
    pace = f"{order.rate / order.users:g}" if order.rate else "0"
    return {"BENCH_RATE": pace, "BENCH_TIMEOUT": f"{TIMEOUT:g}", "BENCH_LOG": "1" if order.log else ""}
