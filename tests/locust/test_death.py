"""A runner that is killed, and what Locust had started: within a second nothing of it is left."""

from __future__ import annotations

import importlib.util
import json
import signal
import socket
import sys
import urllib.request

import pytest

from tests.conftest import Ground
from tests.loads.hostile import HostileServer, ok

from .conftest import BOTH

RUNNER = """
import pathlib, sys
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from meshtest_locust.engine import LocustLoad

folder = pathlib.Path.cwd()
place = Place(name="users", entrance=Entrance("127.0.0.1", int(sys.argv[1]), False), directory=folder)
load = LocustLoad(place, locustfile="journeys.py", users=4, spawn_rate=100, processes=1, web_ui=int(sys.argv[2]))
load.start()
print("url", load.web_url, flush=True)
load.wait(requests=10**9)
"""


def test_nothing_outlives_a_killed_runner_not_even_a_worker(ground: Ground, listener: socket.socket) -> None:
    """With the web UI: it is there while the load runs."""
    if importlib.util.find_spec("locust") is None:
        pytest.skip("Locust is not installed: pip install 'meshtest[locust]'")
    port = listener.getsockname()[1]
    listener.close()
    ground.write("journeys.py", BOTH)
    with HostileServer([ok]) as server:
        program = ground.start(sys.executable, ground.write("runner.py", RUNNER), server.port, port)
        program.says("url http://127.0.0.1:")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests") as answer:
            assert json.load(answer)["user_count"] >= 0
        assert len(ground.processes()) == 3, "the runner, the master, a worker"
        program.signal(signal.SIGKILL)
        program.wait()
        ground.nothing_left()
