"""A report of a hundred thousand requests: how long it takes to write, and how large it is.

The requests are 100 seconds at 1,000/s, shifted in four steps, with an outage of 200 ms; latencies are spread
log-normally over two lanes. Once with these alone, once with two lines of the proxies' access log for each.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import Any

from meshtest.checks import judge, no_downtime
from meshtest.model.history import Event, History, Hops
from meshtest.model.record import NO_CODE, RECORD
from meshtest.model.report import Change, RunReport
from meshtest.model.request import Requests
from meshtest.reporters.html import write

REQUESTS = 100_000
RATE = 1000
STEPS = ((0, 0), (20, 10), (40, 25), (60, 50), (80, 100))
"""Second, percent of v2."""
NAMES = ("web/v1/web-v1-0", "web/v1/web-v1-1", "web/v2/web-v2-0", "web/v2/web-v2-1")
OUTAGE = range(80_000, 80_200)


def requests() -> Requests:
    draw = random.Random(5)
    return Requests.of_loads([("load1", b"".join(_row(i, draw) for i in range(REQUESTS)), NAMES)])


def _row(i: int, draw: random.Random) -> bytes:
    percent = next(share for second, share in reversed(STEPS) if i >= second * RATE)
    server = 1 + draw.randrange(2) + 2 * (draw.random() * 100 < percent)
    done = int(draw.lognormvariate(11.5, 0.5))
    status = 503 if i in OUTAGE else 200
    return RECORD.pack(i * 1_000_000, i, 3, done, done, status, server, 0, i % 2, 1, 1, 2, 0, 0, NO_CODE)


def events() -> list[Event]:
    found = [Event(0.0, "run.start", data={"provider": "envoy"})]
    for number, (second, percent) in enumerate(STEPS, 1):
        shares = {"web": {"v1": 100.0 - percent, "v2": float(percent)}}
        data = {"number": number, "reason": f"shift web v2={percent}", "shares": shares}
        found += [Event(second, "config.apply", data=data), Event(second + 0.01, "config.ack", data={"number": number})]
        found += [
            Event(second + 0.001, "step.start", f"v2 at {percent}%"),
            Event(second + 19, "step.end", f"v2 at {percent}%"),
        ]
    return found


def hops(of: Requests) -> list[str]:
    """As in hops.tsv."""
    lines = []
    for request in of:
        server = "/".join((request.server.service, request.server.version, request.server.pod))
        rest = f"load1-{request.index}\tGET\tweb\t/\t{request.status}\t-\tcluster\t{server}\t1\t9\t412\t-"
        lines += [f"{request.at:.6f}\tinbound\t{request.server.pod}\t{rest}"]
        lines += [f"{request.at:.6f}\toutbound\tdefault/client\t{rest}"]
    return lines


def measure(what: str, history: History) -> None:
    changes = [Change(number=n, reason=f"shift to {p}", diff="-a\n+b\n" * 20) for n, (_, p) in enumerate(STEPS, 1)]
    about: dict[str, Any] = {"name": "bench", "started": 1.0, "ended": 101.0, "seed": 5, "command": "pytest"}
    report = RunReport(about=about, history=history, verdict=judge(history, [no_downtime()]), changes=changes)
    fresh = RunReport(about=about, history=_again(history), verdict=report.verdict, changes=changes)
    with tempfile.TemporaryDirectory() as directory:
        before = time.process_time()
        path = write(fresh, Path(directory) / "report.html")
        took = time.process_time() - before
        print(f"  {what:<28} {took:.2f} s of CPU (aim 1 s), {path.stat().st_size / 1000:.0f} kB (aim 300 kB)")


def _again(history: History) -> History:
    """Nothing of it has been worked out yet."""
    old = history.requests
    return History(history.events, Requests(old.raw, old.origins, old.start_ns), history.hops)


def main() -> None:
    asked = requests()
    print(f"a report of {len(asked):,} requests:")
    measure("requests alone", History(events(), asked))
    lines = hops(asked)
    measure(f"with {len(lines):,} hops", History(events(), asked, Hops(lines, 0.0)))


if __name__ == "__main__":
    main()
