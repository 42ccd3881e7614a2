"""What a load can be told beyond a request and a rate: targets, users, faults, processes; and what it admits."""

from __future__ import annotations

import itertools
import os
import re
import resource
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy.pods import procs

from meshtest.errors import LoadError, UsageError
from meshtest.lib.wait import until
from meshtest.loads import Load, LoadSpec, Summary
from meshtest.loads.shape import Burst, Hold, Ramp
from meshtest.loads.target import Target
from meshtest.model import choices
from meshtest.model.record import NEVER, PART_BITS
from meshtest.model.request import Fate, Lane, Requests
from meshtest.spi.load import Place
from meshtest.spi.provider import Entrance
from tests.conftest import deaf
from tests.loads.hostile import HEAD, HostileServer, chunked, closes_in_body, no_content, ok, resets, stalls

SEED = 42


def at(port: int, folder: Path, **more: Any) -> Place:
    return Place(name="load", entrance=Entrance("127.0.0.1", port, False), directory=folder, seed=SEED, **more)


def run(port: int, folder: Path, request: Any = "http://web/", **options: Any) -> Summary:
    """To its end."""
    spec = LoadSpec.of(request, **options)
    load = Load(spec, at(port, folder))
    load.start()
    until(lambda: not load.running, within=load.longest(), what=lambda: "it does not end")
    return load.stop()


def requests(folder: Path) -> Requests:
    files = sorted((folder / "requests").glob("*.bin"))
    return Requests.of_loads(
        [("load", file.read_bytes(), file.with_suffix(".names").read_text().splitlines()) for file in files]
    )


def heads(server: HostileServer) -> dict[int, str]:
    """By index."""
    return {int(re.findall(r"x-meshtest-id: load-(\d+)", text)[0]): text for text in map(bytes.decode, server.heads)}


class TestTargets:
    def test_share_the_requests_by_weight_with_what_each_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "cart.json").write_text('{"n": 1}')
        targets = [
            Target("GET http://web/a", weight=3),
            Target("POST http://web/cart", headers={"x-kind": "cart"}, body=f"@{tmp_path / 'cart.json'}"),
        ]
        with HostileServer() as server:
            run(server.port, tmp_path, targets, rate=400, requests=200)
        recorded = list(requests(tmp_path))
        edges = choices.edges([3, 1])
        salt = choices.salt(SEED, "load", "target")
        assert [r.target for r in recorded] == [choices.target_of(salt, r.index, edges) for r in recorded]
        assert 30 <= sum(r.target for r in recorded) <= 70
        for r in recorded:
            head = heads(server)[r.index]
            assert head.startswith("POST /cart" if r.target else "GET /a")
            assert ("x-kind: cart" in head) == bool(r.target)
        assert Counter(server.bodies) == Counter(b'{"n": 1}' if r.target else b"" for r in recorded)

    def test_do_not_beat_with_the_lanes(self, tmp_path: Path) -> None:
        with HostileServer() as server:
            run(server.port, tmp_path, ["http://web/a", "http://web/b"], rate=400, requests=120)
        pairs = Counter((r.target, r.lane) for r in requests(tmp_path))
        assert min(pairs[target, lane] for target in (0, 1) for lane in (Lane.KEEPALIVE, Lane.FRESH)) >= 10


class TestUsers:
    def test_keep_the_session_that_they_were_given(self, tmp_path: Path) -> None:
        given = itertools.count()

        def login(sock: socket.socket) -> None:
            cookie = b"set-cookie: s=%d; Path=/; HttpOnly\r\nSet-Cookie: old=1; max-age=0\r\n" % next(given)
            sock.sendall(HEAD + cookie + b"content-length: 0\r\n\r\n")

        with HostileServer([login] * 3 + [ok] * 97) as server:
            run(server.port, tmp_path, users=3, rate=100, requests=30, lanes=["keepalive"], connections=2)
        cookies = {index: re.findall(r"cookie: (.*)\r", head) for index, head in heads(server).items()}
        assert all(cookies[index] == [] for index in range(3))
        assert all(cookies[index] == [f"s={choices.user_of(index, 3)}"] for index in range(3, 30))

    def test_stay_with_one_process(self) -> None:
        users = {part: {choices.user_of(part << PART_BITS | n, 7, 3) for n in range(50)} for part in range(3)}
        assert sorted(itertools.chain(*users.values())) == list(range(7))


def test_fault_headers_are_on_the_requests_that_the_seed_says(tmp_path: Path) -> None:
    with HostileServer() as server:
        run(server.port, tmp_path, fault_headers={"x-fault": 0.2, "x-abort: 503": 1.0}, rate=400, requests=100)
    salt = choices.salt(SEED, "load", "fault", "x-fault")
    for index, head in heads(server).items():
        assert ("x-fault: 1\r\n" in head) == choices.chosen(salt, index, 0.2)
        assert "x-abort: 503\r\n" in head
    assert 5 <= sum("x-fault" in head for head in heads(server).values()) <= 40


def test_each_request_is_a_trace_of_its_own(tmp_path: Path) -> None:
    with HostileServer() as server:
        run(server.port, tmp_path, sampled=0.5, rate=400, requests=60)
    traces = [
        re.findall(r"traceparent: 00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])\r", head) for head in heads(server).values()
    ]
    assert len({trace for ((trace, _, _),) in traces}) == 60
    assert len({span for ((_, span, _),) in traces}) == 60
    assert 15 <= sum(flag == "01" for ((_, _, flag),) in traces) <= 45


def test_a_trace_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with HostileServer() as server:
        run(server.port, tmp_path, headers={"Traceparent": own}, rate=400, requests=2)
    assert [re.findall("(?i)traceparent: (.*)\r", head) for head in heads(server).values()] == [[own]] * 2


def test_sizes_are_of_the_body_as_far_as_it_came(tmp_path: Path) -> None:
    expected = {ok: 5, chunked: 16, no_content: 0, closes_in_body: 5, resets: 0}
    with HostileServer(list(expected)) as server:
        run(server.port, tmp_path, rate=400, requests=40, lanes=["keepalive"])
    acts = dict(server.log)
    assert {(r.index, r.size) for r in requests(tmp_path)} == {(i, expected[act]) for i, act in acts.items()}


class TestShape:
    def test_a_load_follows_its_shape_to_the_end(self, tmp_path: Path) -> None:
        shape = [Ramp(20, 200, seconds=0.5), Burst(20), Hold(100, seconds=0.2)]
        with HostileServer() as server:
            summary = run(server.port, tmp_path, shape=shape)
        assert summary.fates == {Fate.ANSWERED: 55 + 20 + 20}
        intended = requests(tmp_path).intended.tolist()
        assert Counter(intended).most_common(1)[0][1] == 21  # the burst, and the first of the hold
        assert max(Counter(intended)) - min(intended) == 690_000_000

    def test_random_arrivals_are_those_of_the_seed(self, tmp_path: Path) -> None:
        with HostileServer() as server:
            run(server.port, tmp_path / "a", arrivals="poisson", rate=400, requests=40)
            run(server.port, tmp_path / "b", arrivals="poisson", rate=400, requests=40)
        gaps = [[b - a for a, b in itertools.pairwise(requests(tmp_path / x).intended.tolist())] for x in "ab"]
        assert gaps[0] == gaps[1]
        assert len(set(gaps[0])) == 39


class TestProcesses:
    def test_share_one_even_grid(self, tmp_path: Path) -> None:
        with HostileServer() as server:
            summary = run(server.port, tmp_path, processes=2, rate=200, requests=61)
        recorded = requests(tmp_path)
        assert {b - a for a, b in itertools.pairwise(recorded.intended.tolist())} == {5_000_000}
        assert Counter(index >> PART_BITS for index in recorded.indices) == {0: 31, 1: 30}
        assert summary.fates == {Fate.ANSWERED: 61}
        assert summary.max_gap > 0.004  # of both together; each alone leaves 10 ms
        assert summary.rate == pytest.approx(200, rel=0.05)

    def test_change_their_rate_together(self, tmp_path: Path) -> None:
        with HostileServer() as server:
            load = Load(LoadSpec.of("http://web/", rate=100, processes=2), at(server.port, tmp_path))
            load.start()
            load.wait(requests=5, after=0)
            load.set_rate(400)
            load.wait(requests=60, after=0)
            load.stop()
        gaps = Counter(b - a for a, b in itertools.pairwise(requests(tmp_path).intended.tolist()))
        odd = [gap for gap in gaps.elements() if gap not in (10_000_000, 2_500_000)]
        assert len(odd) <= 4  # where one grid passes into the other
        assert gaps[2_500_000] >= 30

    def test_wait_for_each_other_and_end_together(self, tmp_path: Path) -> None:
        (tmp_path / "requests").mkdir()
        (tmp_path / "requests" / "load+1.names").touch()  # the second cannot write
        with HostileServer() as server:
            load = Load(LoadSpec.of("http://web/", rate=100, processes=2), at(server.port, tmp_path))
            with pytest.raises(LoadError, match=r"(?s)prober \d+ of load 'load' died .*FileExistsError"):
                load.start()
            assert server.log == []
        assert not load.running

    def test_the_death_of_one_is_an_error_and_the_end_of_all(self, tmp_path: Path) -> None:
        with HostileServer() as server:
            load = Load(LoadSpec.of("http://web/", rate=200, processes=2), at(server.port, tmp_path))
            load.start()
            load.wait(requests=4)
            os.kill(load.pids[1], signal.SIGKILL)
            with pytest.raises(LoadError, match="exit code -9"):
                load.wait(requests=10_000)
            with pytest.raises(LoadError, match="exit code -9"):
                load.stop()
            assert not _alive(load.pids[0])


class TestSaturation:
    def test_a_slow_server_is_not_the_generator(self, tmp_path: Path) -> None:
        with HostileServer([ok, stalls]) as server:
            assert run(server.port, tmp_path, rate=100, requests=40, timeout=0.5).saturated == ""

    def test_a_prober_that_did_not_get_to_run_says_so(self, tmp_path: Path) -> None:
        with HostileServer() as server, Load(LoadSpec.of("http://web/", rate=200), at(server.port, tmp_path)) as load:
            load.wait(requests=20)
            os.kill(load.pid, signal.SIGSTOP)
            resumed = time.monotonic() + 0.4
            until(lambda: time.monotonic() >= resumed, within=1, what=str)
            os.kill(load.pid, signal.SIGCONT)
            load.wait(requests=100, after=0)
            told = load.stop().saturated
        assert re.search(
            r"\d+ requests of \d+ left more than [15]00 ms late, p99 \d+ ms; asked for 200 a second", told
        ), told
        late = sorted(late for late in requests(tmp_path).sent if late != NEVER)
        assert late[-1] >= 3_500_000  # and each of them is on record as late as it was

    def test_no_socket_to_be_had_is_the_generators_fault(self, tmp_path: Path) -> None:
        with HostileServer([stalls]) as server:
            load = Load(LoadSpec.of("http://web/", rate=200, timeout=0.5), at(server.port, tmp_path))
            load.start()
            resource.prlimit(load.pid, resource.RLIMIT_NOFILE, (40, 40))
            load.wait(requests=60, after=0)
            summary = load.stop()
        assert summary.fates[Fate.NOT_SENT] > 0
        assert re.match(r"\d+ requests not sent: Too many open files", summary.saturated)

    def test_a_rate_beyond_the_machine_ends_the_load_with_what_it_can(self, tmp_path: Path) -> None:
        with HostileServer() as server:
            load = Load(LoadSpec.of("http://web/", rate=5e6, lanes=["keepalive"]), at(server.port, tmp_path))
            load.start()
            until(lambda: not load.running, within=20, what=lambda: "it tries on")
            with pytest.raises(
                LoadError, match=r"more than this machine can send: in the first [\d.]+ s one prober sent [\d,]+ "
            ):
                load.stop()
        assert load.summary
        assert load.summary.error


class TestNobodyListens:
    @pytest.fixture
    def port(self) -> Iterator[int]:
        with deaf() as port:
            yield port

    @pytest.mark.parametrize("lanes", [["keepalive"], ["fresh"]])
    def test_at_the_start_is_an_error_at_once(self, port: int, lanes: Sequence[str], tmp_path: Path) -> None:
        load = Load(LoadSpec.of("http://web/", lanes=lanes), at(port, tmp_path))
        with pytest.raises(
            LoadError, match=rf"nobody listens at 127.0.0.1:{port}; if that is to be measured, give unrea"
        ):
            load.start()

    def test_later_is_a_measurement(self, tmp_path: Path) -> None:
        with HostileServer() as server:
            load = Load(LoadSpec.of("http://web/", rate=200, lanes=["fresh"]), at(server.port, tmp_path))
            load.start()
            load.wait(requests=5, after=0)
        load.wait(requests=20)
        assert load.stop().fates[Fate.REFUSED] >= 10

    def test_an_address_that_does_not_exist_is_an_error(self, tmp_path: Path) -> None:
        place = Place(name="load", entrance=Entrance("no.such.host.invalid", 80, False), directory=tmp_path)
        with pytest.raises(UsageError, match=r"address 'no\.such\.host\.invalid'"):
            Load(LoadSpec.of("http://web/"), place).start()


def _alive(pid: int) -> bool:
    return procs.stat(pid) is not None
