"""Load generators side by side, on the same Envoy and the same server: throughput, timing, honesty, outages.

Five minutes. Envoy and the servers have the first core, the tool that is measured has the second. What is not installed
is left out. MESHTEST_BENCH_SECONDS (default 3) is the length of a measurement. What else runs on the machine is in the
figures: it is printed, and so is what a control is late by that does nothing but spin.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

from tests.bench.peers import honesty, k6, locust, outages, stall
from tests.bench.peers.arrivals import Arrivals, arrivals
from tests.bench.peers.closed import Cost, cost, interleaved
from tests.bench.peers.control import Control
from tests.bench.peers.engine import Engine
from tests.bench.peers.front import Front
from tests.bench.peers.hey import Hey
from tests.bench.peers.k6 import K6
from tests.bench.peers.locust import Locust
from tests.bench.peers.machine import Others
from tests.bench.peers.prober import LANES, Prober
from tests.bench.peers.recorder import compiler
from tests.bench.peers.table import Row, count, markdown, micro, share, unmeasured, unmet
from tests.bench.peers.tool import Tool
from tests.bench.peers.wrk import Wrk

SECONDS = float(os.environ.get("MESHTEST_BENCH_SECONDS", "3"))
OURS, FAST, K6_NAME, CONTROL = "prober", "FastHttpUser", "k6", "spinning control"
_STARTS = 5
_WINDOWS = {OURS: (100, 100, 50, 20)}
"""Outages of each length; what the aim is about needs as many as it names."""
_FEW = (12, 12, 12, 6)
_NO_COMPILER = "no C compiler for the recording server"


def say(text: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


@dataclass
class Bench:
    """The tools that are here, and where they may write."""

    tools: Sequence[Tool]
    folder: Path
    seconds: float = SECONDS

    @property
    def with_lanes(self) -> list[Tool]:
        """The prober as a scenario has it, with new connections too, and its peers."""
        return [Prober(LANES), *self.tools[1:]]

    @property
    def plain(self) -> list[Tool]:
        """Without those that only run another one: pace and clock are the other one's."""
        return [tool for tool in self.tools if not isinstance(tool, Engine)]

    def paced(self, rate: float) -> list[Tool]:
        """Those that can be told to send at this rate."""
        return [tool for tool in self.plain if tool.paced and tool.most >= rate]

    @cached_property
    def at_2000(self) -> dict[str, Arrivals]:
        return {tool.name: self._arrivals(tool, 2000) for tool in [*self.paced(2000), Control()]}

    @cached_property
    def at_500(self) -> dict[str, Arrivals]:
        return {tool.name: self._arrivals(tool, 500) for tool in [*self.paced(500), Control()]}

    def _arrivals(self, tool: Tool, rate: float) -> Arrivals:
        say(f"arrivals at {rate:g}/s: {tool.name}")
        return arrivals(tool, self.folder, rate=rate, seconds=self.seconds)

    @cached_property
    def books(self) -> dict[str, honesty.Books]:
        found = {}
        for tool in self.with_lanes:
            say(f"honesty: {tool.name}")
            found[tool.name] = honesty.books(tool, self.folder)
        return found


# ---- through Envoy


def throughput(bench: Bench) -> Iterator[Row]:
    with Front(bench.folder) as front:
        say("closed loops")
        costs = interleaved(bench.tools, front, bench.folder, seconds=bench.seconds / 2)
        yield from _closed(costs)
        yield from _open(bench, front)


def _closed(costs: Mapping[str, Cost]) -> Iterator[Row]:
    rates = {name: each.rate for name, each in costs.items()}
    used = {name: each.microseconds for name, each in costs.items()}
    yield Row(
        "closed loop, requests/s", ">= 40,000", {n: count(r) for n, r in rates.items()},
        rates[OURS] >= 40_000, count(rates[OURS]),
    )  # fmt: skip
    yield Row(
        "closed loop, CPU us/request", "<= 18", {n: f"{u:.1f}" for n, u in used.items()}, used[OURS] <= 18,
        f"{used[OURS]:.1f}",
    )  # fmt: skip
    for peer, least in ((FAST, 4), (K6_NAME, 2)):
        if peer in rates:
            times = rates[OURS] / max(rates[peer], 1.0)
            yield Row(
                f"closed loop, times {peer}", f">= {least}", {OURS: f"{times:.1f}"}, times >= least, f"{times:.1f}"
            )


def _open(bench: Bench, front: Front) -> Iterator[Row]:
    costs = {}
    for tool in bench.paced(20_000):
        say(f"open loop 20,000/s: {tool.name}")
        costs[tool.name] = cost(tool, front, bench.folder, seconds=bench.seconds, rate=20_000, users=50)
    ours = costs[OURS]
    cells = {
        name: "gave up" if each.error else f"{count(each.rate)}/s, {each.cores:.2f} cores"
        for name, each in costs.items()
    }
    holds = abs(ours.rate - 20_000) <= 20 and ours.cores <= 0.9
    yield Row("open loop at 20,000/s", "within 0.1 %, <= 0.9 core", cells, holds, ours.error or cells[OURS])


# ---- seen by a server that keeps the books


def lateness(bench: Bench) -> Iterator[Row]:
    seen = bench.at_2000
    cells = {name: f"{micro(a.late_p50)} ({micro(a.late_p99)})" for name, a in seen.items()}
    ours, peer = seen[OURS], seen.get(K6_NAME)
    yield Row("late at 2,000/s, p50 (p99)", "p50 <= 60 us", cells, ours.late_p50 <= 60e-6, cells[OURS])
    if peer:
        yield Row(
            "p99 of that", "no worse than k6", {OURS: micro(ours.late_p99), K6_NAME: micro(peer.late_p99)},
            ours.late_p99 <= peer.late_p99, f"{micro(ours.late_p99)}, k6 {micro(peer.late_p99)}",
        )  # fmt: skip


def holes(bench: Bench) -> Iterator[Row]:
    seen = bench.at_500
    cells = {name: micro(a.longest_hole) for name, a in seen.items()}
    noise = max(seen[CONTROL].longest_hole - 1 / 500, 0.0)
    aim = f"<= 2 ms + the host's {micro(noise)}"
    yield Row("longest hole at 500/s", aim, cells, seen[OURS].longest_hole <= 1 / 500 + noise, cells[OURS])


def injected(bench: Bench) -> Iterator[Row]:
    books = bench.books
    words = {
        "refused": "refused",
        "reset": "resets",
        "busy": "503",
        "stall": "stalls (time-outs)",
        "slow": "slow answers",
    }
    for kind, word in words.items():
        cells = {name: share(each.share(kind)) for name, each in books.items()}
        ours = books[OURS].share(kind)
        yield Row(f"{word} seen", "100 %", cells, ours == 1.0, f"{share(ours)} of {books[OURS].injected[kind]}")
    invented = {name: str(each.invented) for name, each in books.items()}
    yield Row("failures invented", "0", invented, books[OURS].invented == 0, invented[OURS])


def lengths(bench: Bench) -> Iterator[Row]:
    found = {}
    for tool in bench.with_lanes:
        if tool.name not in ("wrk", "hey"):  # these count failures, but do not tell when
            say(f"outages: {tool.name}")
            counts = [max(round(n * bench.seconds / 3), 1) for n in _WINDOWS.get(tool.name, _FEW)]
            found[tool.name] = outages.measure(tool, bench.folder, counts)
    for length in outages.LENGTHS:
        yield _length(length, {name: seen[length] for name, seen in found.items()})
    yield _hidden(found)


def _told(seen: outages.Seen) -> str:
    slower = f" (at {count(seen.rate)}/s)" if seen.rate < outages.RATE else ""
    off = f": {micro(seen.median)}, {micro(seen.p90)}" if seen.errors else ""
    return f"{seen.detected} of {seen.windows}{slower}{off}"


def _hidden(found: Mapping[str, Mapping[float, outages.Seen]]) -> Row:
    """What a tool missed because it sent nothing is a matter of its rate; this is not."""
    hidden = {name: sum(s.hidden for s in seen.values()) for name, seen in found.items()}
    cells = {name: f"{hidden[name]} of {sum(s.sent_in for s in seen.values())}" for name, seen in found.items()}
    return Row("outages that it sent into and did not tell", "0", cells, hidden[OURS] == 0, cells[OURS])


def _length(length: float, seen: Mapping[str, outages.Seen]) -> Row:
    ours = seen[OURS]
    cells = {name: _told(s) for name, s in seen.items()}
    what = f"outages of {length * 1e3:g} ms at 1,000/s, seen: length off by p50, p90"
    if length == 0.02:
        holds = ours.detected == ours.windows and ours.median <= 0.1e-3 and ours.p90 <= 1e-3
        return Row(what, "all; 0.1 ms, 1 ms", cells, holds, cells[OURS])
    least = 0.99 if length < 0.005 else 1.0
    return Row(what, "99 %" if least < 1 else "all", cells, ours.detected >= least * ours.windows, cells[OURS])


def stalled(bench: Bench) -> Iterator[Row]:
    ratios = {}
    for tool in bench.plain:
        say(f"stall: {tool.name}")
        ratios[tool.name] = stall.ratio(tool, bench.folder)
    cells = {name: "-" if ratio is None else f"{ratio:.2g}" for name, ratio in ratios.items()}
    ours = ratios[OURS] or 0.0
    cells[OURS] = f"{ours:.3f}"
    yield Row("500 ms stall: p99 through the truth", "0.98 to 1.02", cells, abs(ours - 1) <= 0.02, cells[OURS])


def starts(bench: Bench) -> Iterator[Row]:
    again = [{OURS: arrivals(bench.tools[0], bench.folder, rate=500, seconds=0.2)} for _ in range(_STARTS)]
    runs = [bench.at_500, bench.at_2000, *again]
    took = {name: median(run[name].start for run in runs if name in run) for name in bench.at_500}
    cells = {name: f"{seconds * 1e3:.0f} ms" for name, seconds in took.items() if name != CONTROL}
    yield Row("start to first request", "<= 120 ms", cells, took[OURS] <= 0.12, cells[OURS])


def records(bench: Bench) -> Iterator[Row]:
    each = {name: books.bytes_each for name, books in bench.books.items() if books.bytes_each}
    cells = {name: f"{size:.0f}" for name, size in each.items()}
    yield Row("record, bytes a request", "<= 40", cells, each[OURS] <= 40, cells[OURS])


def million(_: Bench) -> Iterator[Row]:
    """By the benchmark of that name; the dearer of its two orders."""
    say("a million records")
    command = [sys.executable, "-m", "tests.bench", "million"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = [float(seconds) for seconds in re.findall(r"in all\s+([\d.]+) s", done.stdout)]
    holds = max(found) <= 1 if found else None
    cells = {OURS: f"{max(found):.2f} s"} if found else {}
    yield Row("1,000,000 requests checked, CPU", "<= 1 s", cells, holds, cells.get(OURS, "no benchmark `million`"))


MEASURES: Sequence[Callable[[Bench], Iterator[Row]]] = (
    throughput, lateness, holes, injected, lengths, stalled, starts, records, million,
)  # fmt: skip


def main() -> None:
    peers: Sequence[Tool] = [Locust("Fast"), Locust("Http"), K6(), Wrk(), Hey()]
    every: Sequence[Tool] = [Prober(), locust.by_meshtest(), k6.by_meshtest(), *peers]
    missing = {tool.name: why for tool in every if (why := tool.missing())}
    others, began = Others(), time.monotonic()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="meshtest-bench-") as folder:
        bench = Bench([tool for tool in every if tool.name not in missing], Path(folder))
        for measure in MEASURES if compiler() else MEASURES[:1]:
            rows += _measured(measure, bench)
    if not compiler():
        rows.append(Row("timing, honesty, outages", "", {}, None, _NO_COMPILER))
    print(markdown(rows, [*(tool.name for tool in every), CONTROL], missing))
    print(f"\n{_machine()}; others used {others.cores():.2f} cores meanwhile; {time.monotonic() - began:.0f} s.")
    for text, found in (("Aims that do not hold", unmet(rows)), ("Not measured", unmeasured(rows))):
        print(f"\n{text}: {'none' if not found else ''}")
        print("".join(f"- {line}\n" for line in found), end="")


def _measured(measure: Callable[[Bench], Iterator[Row]], bench: Bench) -> Iterator[Row]:
    """A tool that breaks costs its own measurement, not the others."""
    try:
        yield from measure(bench)
    except Exception as error:
        say(f"{measure.__name__}: {error!r}")
        yield Row(measure.__name__, "", {}, None, repr(error))


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
