"""`pytest --mesh-live`: the report of the test that runs, for a browser on this machine."""

from __future__ import annotations

import re
import socket
import urllib.request

from tests.conftest import Ground

TEST = """\
import time
from pathlib import Path
from meshtest.run import Run
from meshtest.settings import Settings

def test_one():
    with Run("the one", Settings(reports=Path("reports")), seed=1):
        while not Path("go").exists():
            time.sleep(0.01)
"""
"""Without a mesh: that would take longer."""


def page(url: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        return str(answer.read().decode())


def test_the_page_of_the_test_that_runs_is_served_until_the_end(ground: Ground) -> None:
    ground.write("test_it.py", TEST)
    program = ground.pytest("-p", "no:xdist", "--mesh-live")
    program.says("meshtest: report, live: ")
    (url,) = re.findall(r"report, live: (\S+)", program.out)
    program.until(ground.runs, "a run")
    assert "the one" in page(url)
    ground.write("go", "")
    assert program.wait() == 0, program
    ground.nothing_left()


def test_a_port_that_is_taken_is_bad_input(ground: Ground, listener: socket.socket) -> None:
    program = ground.pytest(f"--mesh-live={listener.getsockname()[1]}")
    assert program.wait() == 4
    assert "the live page cannot have port" in program.err
