"""hey: a closed loop, or workers that each keep to a rate of their own. It does not tell when a request failed."""

from __future__ import annotations

import re
from collections import Counter
from math import ceil
from pathlib import Path

from tests.bench.peers.recorder import SLOW
from tests.bench.peers.tool import TIMEOUT, Order, Program, Told, what

_STATUS = re.compile(r"^\s+\[(\d+)\]\t(\d+) responses", re.MULTILINE)
_ERROR = re.compile(r"^\s+\[(\d+)\]\t(?!\d+ responses)(.+)", re.MULTILINE)
_BAR = re.compile(r"^\s+([\d.]+) \[(\d+)\]", re.MULTILINE)
_P99 = re.compile(r"99% in ([\d.]+) secs")


class Hey(Program):
    name = program = "hey"

    def command(self, order: Order, folder: Path) -> list[str]:
        pace = ["-q", f"{order.rate / order.users:g}"] if order.rate else []
        length = ["-n", str(order.requests)] if order.requests else ["-z", f"{order.seconds:g}s"]
        common = ["-cpus", "1", "-c", str(order.users), "-t", str(ceil(TIMEOUT))]
        return [self.path, *common, *pace, *length, f"http://127.0.0.1:{order.port}/"]

    def told(self, order: Order, folder: Path, output: str) -> Told:
        counts: Counter[str] = Counter()
        for status, count in _STATUS.findall(output):
            counts[what(int(status), "", 0.0)] += int(count)
        for count, text in _ERROR.findall(output):
            counts[what(0, text, 0.0)] += int(count)
        slow = sum(int(count) for mark, count in _BAR.findall(output) if float(mark) >= SLOW * 0.95)
        counts["slow"] = slow
        counts["ok"] -= slow
        p99 = _P99.search(output)
        return Told(counts=counts, p99=float(p99[1]) if p99 else None, calls=order.requests)
