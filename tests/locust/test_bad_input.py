"""What cannot be is refused with one sentence: what, where, and what to do."""

from __future__ import annotations

import importlib.util
import socket
from typing import Any

import pytest

from meshtest.errors import UsageError
from meshtest.lib.wait import until

from .conftest import Bench


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"locustfile": "nowhere.py"}, r"locustfile '.*nowhere.py' is not there"),
        ({"users": 0}, "users is 0; it must be a whole number, 1 or more"),
        ({"users": 2.5}, "users is 2.5"),
        ({"spawn_rate": -1}, "spawn_rate is -1; it must be above 0"),
        ({"seconds": 0}, "seconds is 0"),
        ({"processes": -1}, "processes is -1; it must be a whole number, 0 or more"),
        ({"stop_timeout": -1}, "stop_timeout is -1"),
        ({"user": 3}, r"no option 'user' \(did you mean 'users'\?\); it has locustfile, users,"),
        ({"rps": 100}, "no option 'rps': Locust's users wait for answers"),
        ({"timeout": 1.0}, "no option 'timeout': the locustfile's own"),
        ({"tags": "buy"}, "tags is 'buy'; it must be a list of strings"),
        ({"host": "shop.example"}, "host 'shop.example': write http://HOST"),
        ({"bind": "0.0.0.0:5557"}, "say how many with expect_workers=N"),
        ({"bind": "here", "expect_workers": 1}, "bind 'here': write HOST:PORT"),
    ],
)
def test_an_option_is_refused(bench: Bench, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        bench.load(1, **options)


def test_a_port_in_use_is_refused(bench: Bench, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(UsageError, match=f"bind: 127.0.0.1:{port} cannot be had .*; choose another port"):
        bench.load(1, expect_workers=1, bind=f"127.0.0.1:{port}")
    with pytest.raises(UsageError, match=f"web_ui: 127.0.0.1:{port} cannot be had"):
        bench.load(1, web_ui=port)


def test_without_locust_the_error_says_how_to_get_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"needs Locust: pip install 'meshtest\[locust\]'"):
        bench.load(1)


def test_a_locustfile_that_cannot_be_used_is_told_by_its_line(bench: Bench) -> None:
    raises = bench.write("import locust\n\nlimit = 1 / 0\n", "raises.py")
    empty = bench.write("import locust\n", "empty.py")
    loads = {
        bench.load(
            1, locustfile=raises
        ): rf"the locustfile of load '\w+' cannot be used: {raises}:3: ZeroDivisionError",
        bench.load(1, locustfile=empty): "Locust refused to start; Locust said: No User class found!",
    }
    for number, load in enumerate(loads):
        load.name = f"users{number}"
    for load, says in loads.items():
        with pytest.raises(UsageError, match=says):
            load.start()
        until(lambda load=load: not load.running, within=10, what=str)  # type: ignore[misc]
