"""Scripts as users write them, run against servers of ours."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from meshtest_k6.binary import find
from meshtest_k6.engine import K6Load, engine

from meshtest.errors import UsageError
from meshtest.lib.wait import until
from meshtest.model.request import Requests
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance

Make = Callable[..., K6Load]


@pytest.fixture(scope="session", autouse=True)
def _k6() -> None:
    try:
        find()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture
def events() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def make(tmp_path: Path, events: list[tuple[str, dict[str, Any]]]) -> Make:
    """A load by a script, on the server at a port."""

    def made(text: str, port: int, **options: Any) -> K6Load:
        script = tmp_path / "script.js"
        script.write_text(text)
        place = Place(
            name="load1",
            entrance=Entrance("127.0.0.1", port, proxy=False),
            directory=tmp_path,
            start_ns=time.monotonic_ns(),
            record=lambda kind, _="", **data: events.append((kind, data)),
        )
        return engine(place, k6=script, **options)

    return made


def ran(load: K6Load) -> Requests:
    """All of a load that ends by itself."""
    load.start()
    load.wait(requests=1, after=0.0)
    until(lambda: not load.running, within=60, what=lambda: "the load still runs")
    load.stop()
    return recorded(load)


def recorded(load: K6Load) -> Requests:
    files = sorted(load.records.parent.glob("*.bin"))
    parts = [("load1", file.read_bytes(), file.with_suffix(".names").read_text().splitlines()) for file in files]
    return Requests.of_loads(parts, load.place.start_ns)
