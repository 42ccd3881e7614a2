"""Loads of Locust without a mesh: their entrance is a server of the test."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from meshtest_locust.engine import LocustLoad

from meshtest.model.request import Requests
from meshtest.run.stored import _Reader
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance

BOTH = """
from locust import FastHttpUser, HttpUser, constant, task

class Slow(HttpUser):
    host = "http://shop.example"
    wait_time = constant(0.005)

    @task
    def look(self):
        self.client.get("/shelf", timeout=0.15)

class Fast(FastHttpUser):
    network_timeout = 0.15
    wait_time = constant(0.005)

    @task
    def look(self):
        self.client.get("http://shop.example:8080/shelf")
"""


@pytest.fixture(autouse=True)
def _installed() -> None:
    if importlib.util.find_spec("locust") is None:
        pytest.skip("Locust is not installed: pip install 'meshtest[locust]'")


@dataclass
class Bench:
    """A run folder, a locustfile, and what the loads tell."""

    folder: Path
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    _loads: ExitStack = field(default_factory=ExitStack)

    def write(self, text: str = BOTH, name: str = "journeys.py") -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def load(self, port: int, **options: Any) -> LocustLoad:
        """Not begun; stopped at the end of the test whatever happens."""
        place = Place(
            name=f"users{len(list(self.folder.glob('*.locust.log')))}",
            entrance=Entrance("127.0.0.1", port, proxy=False),
            directory=self.folder,
            record=lambda kind, subject="", **data: self.events.append((kind, subject, data)),
            timeout=1.0,
        )
        made = LocustLoad(place, **{"locustfile": self.folder / "journeys.py", **options})
        self._loads.callback(_end, made)
        return made

    def requests(self) -> Requests:
        return _Reader(self.folder, None).requests(0)

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [data for told, _, data in self.events if told == kind]

    def close(self) -> None:
        self._loads.close()


def _end(load: LocustLoad) -> None:
    if load.running:
        load._kill()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    made.write()
    yield made
    made.close()
