"""The prober against servers that misbehave: every request has exactly the fate that the server dealt it."""

from __future__ import annotations

import itertools
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy.pods import procs

from meshtest.errors import HistoryError, LoadError, UsageError
from meshtest.lib.wait import until
from meshtest.loads import Load, LoadSpec, Summary, process
from meshtest.model.choices import salt, trace
from meshtest.model.record import RECORD
from meshtest.model.request import Fate, Lane, Request, Requests
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from tests.conftest import deaf
from tests.loads.hostile import EARLY, FATES, HostileServer, closes, drip, ok, stalls

LANES = [[Lane.KEEPALIVE], [Lane.FRESH], [Lane.KEEPALIVE, Lane.FRESH]]
SHORT = 1.0
"""Seconds; long for this server even on a busy machine, short for a test that must wait for it."""


def at(port: int, folder: Path, *, proxy: bool = False, **more: Any) -> Place:
    return Place(name="load", entrance=Entrance("127.0.0.1", port, proxy), directory=folder, **more)


def run(spec: LoadSpec, place: Place) -> Summary:
    """A load with a number of requests, to its end."""
    with Load(spec, place) as load:
        assert spec.requests
        load.wait(requests=spec.requests, after=0)
        return load.stop()


def requests(folder: Path, name: str = "load") -> Requests:
    names = (folder / "requests" / f"{name}.names").read_text().splitlines()
    return Requests.of_loads([(name, (folder / "requests" / f"{name}.bin").read_bytes(), names)])


@pytest.mark.parametrize("lanes", LANES, ids=["keepalive", "fresh", "both"])
def test_each_request_has_the_fate_that_the_server_dealt_it_and_none_is_sent_twice(
    tmp_path: Path, lanes: list[Lane]
) -> None:
    script = list(FATES)
    with HostileServer(script) as server:
        spec = LoadSpec.of("http://web/", rate=200, requests=5 * len(script), lanes=lanes, timeout=SHORT)
        summary = run(spec, at(server.port, tmp_path))
    dealt = dict(server.log)
    recorded = list(requests(tmp_path))
    assert len(server.log) == len(dealt) == len(recorded) == spec.requests
    assert sorted(dealt) == sorted(r.index for r in recorded)
    wrong = [r for r in recorded if (r.fate, r.status) != FATES[dealt[r.index]]]
    assert wrong == []
    assert summary.fates == Counter(r.fate for r in recorded)
    assert {r.lane for r in recorded} == set(lanes)


@pytest.mark.parametrize("lanes", LANES[:2], ids=["keepalive", "fresh"])
def test_an_answer_may_come_before_the_body_has_left(tmp_path: Path, lanes: list[Lane]) -> None:
    script = list(EARLY)
    with HostileServer(script, early=True) as server:
        spec = LoadSpec.of("POST http://web/", body=b"x" * 3_000_000, rate=50, requests=8, lanes=lanes, timeout=SHORT)
        run(spec, at(server.port, tmp_path))
    assert {(r.index % 2, r.fate, r.status) for r in requests(tmp_path)} == {
        (number, *EARLY[act]) for number, act in enumerate(script)
    }


def test_where_there_is_no_epoll_poll_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = "import meshtest.loads.sockets as s; s.Poller, s.LINUX = s.PollPoller, False\nfrom meshtest.loads.prober"
    monkeypatch.setattr(process, "_BOOT", process._BOOT.replace("from meshtest.loads.prober", patch))
    script = [act for act, (fate, _) in FATES.items() if fate is not Fate.TIMEOUT]
    with HostileServer(script) as server:
        summary = run(LoadSpec.of("http://web/", rate=200, requests=2 * len(script)), at(server.port, tmp_path))
    dealt = dict(server.log)
    recorded = list(requests(tmp_path))
    assert [r for r in recorded if (r.fate, r.status) != FATES[dealt[r.index]]] == []
    assert summary.sent == len(recorded) == len(server.log)


def test_lanes_share_the_requests_evenly(tmp_path: Path) -> None:
    with HostileServer() as server:
        run(LoadSpec.of("http://web/", rate=500, requests=40), at(server.port, tmp_path))
    assert Counter(r.lane for r in requests(tmp_path)) == {Lane.KEEPALIVE: 20, Lane.FRESH: 20}


def test_a_port_where_no_one_listens_refuses(tmp_path: Path) -> None:
    spec = LoadSpec.of("http://web/", rate=500, requests=20, unreachable="record")
    with deaf() as port:
        assert run(spec, at(port, tmp_path)).fates == {Fate.REFUSED: 20}


def test_who_served_and_how_many_tries_are_read_whatever_the_case(tmp_path: Path) -> None:
    with HostileServer([ok, drip]) as server:
        run(LoadSpec.of("http://web/", rate=500, requests=10), at(server.port, tmp_path))
    assert {(r.server.service, r.version, r.server.pod, r.attempts) for r in requests(tmp_path)} == {
        ("web", "v1", "web-1", 2)
    }


def test_an_idle_connection_that_was_closed_is_replaced_and_costs_no_request(tmp_path: Path) -> None:
    with HostileServer(then=closes) as server:
        spec = LoadSpec.of("http://web/", rate=50, requests=10, lanes=["keepalive"], connections=1)
        summary = run(spec, at(server.port, tmp_path))
    cut = summary.sent - summary.fates[Fate.ANSWERED]  # closed in the microseconds between look and send, if ever
    assert summary.idle_closed + cut in (9, 10)  # the last one may be closed before we stop
    assert len(server.log) + cut >= 10


def test_an_open_loop_opens_connections_rather_than_wait(tmp_path: Path) -> None:
    with HostileServer([stalls]) as server:
        spec = LoadSpec.of("http://web/", rate=400, requests=30, lanes=["keepalive"], connections=2, timeout=SHORT)
        summary = run(spec, at(server.port, tmp_path))
    assert summary.fates == {Fate.TIMEOUT: 30}
    assert server.connections == 30


def test_requests_are_evenly_intended_whatever_the_answers_take(tmp_path: Path) -> None:
    with HostileServer([ok, stalls]) as server:
        run(LoadSpec.of("http://web/", rate=500, requests=40, timeout=SHORT), at(server.port, tmp_path))
    times = requests(tmp_path).intended.tolist()
    assert {b - a for a, b in itertools.pairwise(times)} == {2_000_000}


def test_a_closed_loop_keeps_so_many_under_way(tmp_path: Path) -> None:
    with HostileServer() as server:
        spec = LoadSpec.of("http://web/", rate=None, concurrency=3, requests=60, lanes=["keepalive"], connections=3)
        summary = run(spec, at(server.port, tmp_path))
    assert summary.fates == {Fate.ANSWERED: 60}
    assert server.connections == 3


def test_what_goes_over_the_wire(tmp_path: Path) -> None:
    with HostileServer() as server:
        spec = LoadSpec.of(
            "POST http://web:9080/a?b=c", name="x", headers=["x-user: 7%d"], body="hello", rate=500, requests=2
        )
        run(spec, at(server.port, tmp_path, proxy=True))
    assert server.bodies == [b"hello"] * 2
    assert sorted(server.heads)[0].decode().split("\r\n") == [
        "POST http://web:9080/a?b=c HTTP/1.1", "host: web:9080", "x-user: 7%d", "content-length: 5",
        "x-meshtest-id: x-0", f"traceparent: {_traceparent('x', 0)}-00", "",
    ]  # fmt: skip


def test_a_large_body_is_sent_whole(tmp_path: Path) -> None:
    body = b"x" * 8_000_000
    with HostileServer() as server:
        summary = run(LoadSpec.of("POST http://web/", body=body, rate=50, requests=4), at(server.port, tmp_path))
    assert summary.fates == {Fate.ANSWERED: 4}
    assert [len(b) for b in server.bodies] == [len(body)] * 4


def test_a_head_request_has_no_body_whatever_its_length_says(tmp_path: Path) -> None:
    def headers_only(sock: socket.socket) -> None:
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n")

    with HostileServer([headers_only]) as server:
        summary = run(LoadSpec.of("HEAD http://web/", rate=500, requests=6), at(server.port, tmp_path))
    assert summary.fates == {Fate.ANSWERED: 6}


def test_the_rate_can_be_changed_and_the_load_stopped(tmp_path: Path) -> None:
    events: list[str] = []
    with HostileServer() as server:
        load = Load(
            LoadSpec.of("http://web/", rate=50),
            at(server.port, tmp_path, record=lambda kind, *_, **__: events.append(kind)),
        )
        load.start()
        load.wait(requests=3)
        load.set_rate(1000)
        load.wait(requests=30)
        summary = load.stop()
        assert load.stop() is summary
    gaps = Counter(b - a for a, b in _pairs(requests(tmp_path).intended.tolist()))
    assert gaps[1_000_000] >= 25
    assert summary.sent == len(requests(tmp_path)) == summary.fates[Fate.ANSWERED]
    assert events == ["load.start", "load.rate", "load.end"]


def test_waiting_counts_only_requests_sent_after_the_given_second(tmp_path: Path) -> None:
    start = time.monotonic_ns()
    with (
        HostileServer() as server,
        Load(LoadSpec.of("http://web/", rate=500), at(server.port, tmp_path, start_ns=start)) as load,
    ):
        load.wait(requests=20)
        after = (time.monotonic_ns() - start) / 1e9
        counted = load.wait(requests=20, after=after)
        load.wait(seconds=0.02)
        load.stop()
    assert 20 <= counted <= sum(_begin(r) >= after for r in _with_start(tmp_path, start))


def test_waiting_for_more_than_a_load_sends_is_an_error(tmp_path: Path) -> None:
    with HostileServer() as server:
        load = Load(LoadSpec.of("http://web/", rate=500, requests=5), at(server.port, tmp_path))
        load.start()
        with pytest.raises(LoadError, match="ended after 5 of the 6 requests"):
            load.wait(requests=6, after=0)
        load.stop()


def test_a_prober_that_dies_is_an_error_with_its_words(tmp_path: Path) -> None:
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "load.names").touch()  # someone else's: the prober refuses to write over it
    load = Load(LoadSpec.of("http://web/", rate=500), at(1, tmp_path))
    with pytest.raises(LoadError, match=r"(?s)died \(exit code 1.*FileExistsError"):
        load.start()


def test_a_prober_that_is_killed_is_noticed(tmp_path: Path) -> None:
    with HostileServer() as server:
        load = Load(LoadSpec.of("http://web/", rate=500), at(server.port, tmp_path))
        load.start()
        load.wait(requests=1)
        os.kill(load.pid, signal.SIGKILL)
        with pytest.raises(LoadError, match="exit code -9"):
            load.wait(requests=10_000)


def test_a_name_is_used_once(tmp_path: Path) -> None:
    with HostileServer() as server:
        run(LoadSpec.of("http://web/", rate=500, requests=1), at(server.port, tmp_path))
        with pytest.raises(UsageError, match="a load named 'load' has run already"):
            Load(LoadSpec.of("http://web/"), at(server.port, tmp_path)).start()


def test_a_full_disk_ends_the_load_and_leaves_whole_records(tmp_path: Path) -> None:
    with HostileServer() as server:
        load = Load(LoadSpec.of("http://web/", rate=1000), at(server.port, tmp_path))
        load.start()
        limit = 100 * RECORD.size + 7
        resource.prlimit(load.pid, resource.RLIMIT_FSIZE, (limit, limit))
        with pytest.raises(HistoryError, match=r"recorded up to request 100$"):
            load.wait(requests=1_000)
    assert (tmp_path / "requests" / "load.bin").stat().st_size == 100 * RECORD.size
    assert len(requests(tmp_path)) == 100


ORPHAN = """
import sys, time
from pathlib import Path
from meshtest.loads import Load, LoadSpec
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
entrance = Entrance("127.0.0.1", int(sys.argv[1]), False)
load = Load(LoadSpec.of("http://web/", rate=100), Place(name="load", entrance=entrance, directory=Path(sys.argv[2])))
load.start()
print(load.pid, flush=True)
sys.stdin.read()
"""


def test_the_prober_dies_with_its_runner(tmp_path: Path) -> None:
    with HostileServer() as server:
        command = [sys.executable, "-c", ORPHAN, str(server.port), str(tmp_path)]
        runner = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with runner:
            assert runner.stdout
            prober = int(runner.stdout.readline())
            assert _alive(prober)
            runner.kill()
        until(lambda: not _alive(prober), within=10, what=lambda: "the prober lives on")


def _traceparent(load: str, index: int) -> str:
    lower = trace(salt(0, load, "trace"), index)
    return f"00-{salt(0, load, 'trace'):016x}{lower:016x}-{lower:016x}"


def _alive(pid: int) -> bool:
    return procs.stat(pid) is not None


def _pairs(values: list[int]) -> list[tuple[int, int]]:
    return list(itertools.pairwise(values))


def _begin(request: Request) -> float:
    assert request.sent_at is not None
    return request.sent_at


def _with_start(folder: Path, start: int) -> Requests:
    stored = requests(folder)
    return Requests(stored.raw, stored.origins, start)


def test_a_load_that_gets_no_further_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with HostileServer([stalls]) as server:
        spec = LoadSpec.of("http://web/", rate=None, concurrency=1, lanes=["fresh"], timeout=0.1)
        with Load(spec, at(server.port, tmp_path)) as load, monkeypatch.context() as patch:
            patch.setattr("meshtest.spi.load.PATIENCE", 0.0)
            load.spec = replace(spec, concurrency=100)  # as if it were a hundred times as fast
            with pytest.raises(LoadError, match=r"is stuck: [0-9]+ of 50 requests finished"):
                load.wait(requests=50)


def test_a_slow_load_stops_at_once(tmp_path: Path) -> None:
    with HostileServer() as server, Load(LoadSpec.of("http://web/", rate=0.001), at(server.port, tmp_path)) as load:
        load.wait(requests=1, after=0)
        assert load.stop().fates == {Fate.ANSWERED: 1}
