"""k6: closed loop, or an open one as long as it has virtual users left. Each request is told by its CSV output."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

from tests.bench.peers.engine import Engine
from tests.bench.peers.tool import TIMEOUT, Order, Program, Row, Told, what

_CODES = {"1212": "refused", "1050": "timeout", "1211": "timeout"}
"""Of its error codes, those that mean something here."""

FILE = Path(__file__).with_name("k6.js")
SPARE = 50
"""Virtual users at least: with fewer than may be waiting at once it drops what it should send."""


def by_meshtest() -> Engine:
    """The same script as `mesh.load(k6=...)` runs it: a new connection for each request, or k6 would hide resets."""

    def options(order: Order) -> dict[str, Any]:
        return {"k6": FILE, "env": {name: str(value) for name, value in _environment(order).items()}}

    return Engine("k6 by meshtest", "k6", options, K6().missing())


class K6(Program):
    name = program = "k6"

    def command(self, order: Order, folder: Path) -> list[str]:
        own = {"K6_CSV_TIME_FORMAT": "unix_nano", "SUMMARY": "summary.json"}
        settings = _environment(order) | own
        words = [word for name, value in settings.items() for word in ("-e", f"{name}={value}")]
        out = ["--out", "csv=requests.csv"] if order.log else []
        return [self.path, "run", "--quiet", "--no-usage-report", "--address", "", *out, *words, str(FILE)]

    def told(self, order: Order, folder: Path, output: str) -> Told:
        metrics = json.loads((folder / "summary.json").read_text())
        p99 = metrics["http_req_duration"]["values"]["p(99)"] / 1e3
        calls = metrics["iterations"]["values"]["count"]
        if not order.log:
            return Told(counts={}, p99=p99, calls=calls)
        path = folder / "requests.csv"
        told = Told.of_rows(_rows(path), calls=calls, sheet=path.stat().st_size)
        return Told(counts=told.counts, rows=told.rows, p99=p99, calls=calls, sheet=told.sheet)


def _environment(order: Order) -> dict[str, object]:
    """What k6.js reads."""
    users = max(order.users, SPARE) if order.rate else order.users
    return {
        "PORT": order.port, "RATE": round(order.rate or 0) or "", "USERS": users, "SECONDS": order.seconds,
        "REQUESTS": order.requests or 0, "TIMEOUT": f"{TIMEOUT:g}s",
    }  # fmt: skip


def _rows(path: Path) -> list[Row]:
    """Its time is that of the end, by the wall clock, in whole seconds unless it is told otherwise."""
    shift = time.time_ns() - time.monotonic_ns()
    rows = []
    with path.open(newline="") as file:
        for line in csv.DictReader(file):
            if line["metric_name"] == "http_req_duration":
                seconds = float(line["metric_value"]) / 1e3
                word = what(int(line["status"] or 0), _CODES.get(line["error_code"], ""), seconds)
                rows.append(Row(_ns(line["timestamp"]) - shift - round(seconds * 1e9), seconds, word))
    return sorted(rows)


def _ns(text: str) -> int:
    """A number of seconds, or of smaller units."""
    return int(text) * 10 ** (19 - len(text))
