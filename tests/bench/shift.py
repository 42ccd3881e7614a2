"""200 shifts at 500 requests/s: time from the call to the acknowledgement, and requests lost."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from meshtest_envoy.barrier import Barrier

from meshtest.mesh import open_mesh
from meshtest.model.tables import quantile
from meshtest.settings import Settings

WEB = Path(__file__).parents[2] / "suites" / "traffic_shift" / "web.yaml"
SHIFTS = 200
RATE = 500
AIM_P50, AIM_P99 = 5.0, 20.0
"""ms"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, open_mesh("bench", Settings(reports=Path(folder))) as mesh:
        mesh.apply(WEB)
        web, took, to_ack = mesh["web"], [], []
        wait_for_worker = Barrier.pass_

        def acknowledged(barrier: Barrier, generation: int, *, within: float) -> None:
            to_ack.append((time.perf_counter() - began) * 1e3)
            wait_for_worker(barrier, generation, within=within)

        Barrier.pass_ = acknowledged  # type: ignore[method-assign]
        with mesh.load("GET http://web/", rps=RATE) as load:
            load.until(requests=50)
            for number in range(SHIFTS):
                began = time.perf_counter()
                web.shift(v2=(number * 37) % 101)
                took.append((time.perf_counter() - began) * 1e3)
                load.until(requests=5)
        failures = load.failures
        print(f"{SHIFTS} shifts at {RATE} requests/s, {len(load.requests)} requests, {len(failures)} lost   aim 0")
        _print("call to ACK", sorted(to_ack), f"   aim <= {AIM_P50:g}, <= {AIM_P99:g}")
        _print("call to return (the worker was seen to have it)", sorted(took))


def _print(what: str, ordered: list[float], aim: str = "") -> None:
    p50, p99 = quantile(ordered, 0.5), quantile(ordered, 0.99)
    print(f"{what:<48} p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {ordered[-1]:.1f}{aim}")


if __name__ == "__main__":
    main()
