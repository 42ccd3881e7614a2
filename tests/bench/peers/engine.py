"""A load generator as `mesh.load` runs it: a plugin of the group `meshtest.loads`, told by the same records."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from math import inf
from pathlib import Path
from typing import Any

from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from tests.bench.peers.machine import TOOL_CORE, on_core
from tests.bench.peers.prober import told
from tests.bench.peers.tool import TIMEOUT, Order, Running, Told

_GROUP = "meshtest.loads"


class Engine:
    """`options`: from an order, what the engine is told."""

    paced = True
    most = inf

    def __init__(self, name: str, engine: str, options: Callable[[Order], Mapping[str, Any]], excuse: str = "") -> None:
        self.name, self._engine, self._options, self._excuse = name, engine, options, excuse

    def missing(self) -> str:
        return self._excuse or ("" if entry_points(group=_GROUP, name=self._engine) else "no such plugin")

    def start(self, order: Order, folder: Path) -> Running:
        (found,) = entry_points(group=_GROUP, name=self._engine)
        entrance = Entrance("127.0.0.1", order.port, False)
        own = Path(tempfile.mkdtemp(dir=folder, prefix=f"{self._engine}-"))
        place = Place(name="load", entrance=entrance, directory=own, timeout=TIMEOUT)
        return _Engaged(found.load()(place, **self._options(order)), order)


class _Engaged:
    def __init__(self, load: Any, order: Order) -> None:
        self._load, self._order, self._stopped = load, order, False
        with on_core(TOOL_CORE):
            self.spawned = time.monotonic_ns()
            load.start()

    @property
    def pid(self) -> int:
        """Of its topmost process."""
        return int(getattr(self._load, "pid", 0) or self._load._process.pid)

    def finish(self) -> Told:
        deadline = time.monotonic() + self._order.seconds + 10
        while self._load.running and time.monotonic() < deadline:
            time.sleep(0.05)
        self.kill()
        return told(self._load.records)

    def kill(self) -> None:
        if not self._stopped:
            self._stopped = True
            self._load.stop()
