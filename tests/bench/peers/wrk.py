"""wrk: a closed loop and nothing else, as fast as a client gets. It counts failures but does not tell when."""

from __future__ import annotations

import re
from math import ceil
from pathlib import Path

from tests.bench.peers.tool import TIMEOUT, Order, Program, Told

_LINE = re.compile(r"^(requests|refused|reset|busy|stall|slow|p99)\t([\d.]+)", re.MULTILINE)


class Wrk(Program):
    name = program = "wrk"
    paced = False

    def command(self, order: Order, folder: Path) -> list[str]:
        script = str(Path(__file__).with_name("wrk.lua"))
        length = ["-t1", f"-c{order.users}", f"-d{ceil(order.seconds)}s", "--timeout", f"{ceil(TIMEOUT)}s"]
        return [self.path, *length, "-s", script, f"http://127.0.0.1:{order.port}/"]

    def told(self, order: Order, folder: Path, output: str) -> Told:
        said = {word: float(number) for word, number in _LINE.findall(output)}
        counts = {word: round(said[word]) for word in ("refused", "reset", "busy", "stall", "slow")}
        answered = round(said["requests"]) - counts["slow"] - counts["busy"]
        return Told(counts=counts | {"ok": answered}, p99=said["p99"])
