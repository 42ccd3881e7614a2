"""Many requests as columns, kinds and latencies: the quick ways give what the plain ones would."""

from __future__ import annotations

import itertools
import random
from array import array
from collections import Counter
from math import inf

import pytest

from meshtest.model import packing, sends, tables
from meshtest.model.distribution import Distribution
from meshtest.model.history import History
from meshtest.model.record import NEVER, NO_CODE, PART_BITS, RECORD
from meshtest.model.request import UNKNOWN_SERVER, Fate, Lane, Request, Requests, Server
from meshtest.model.sightings import sightings

SERVERS = [Server("web", f"v{i % 3}", f"web-{i}") for i in range(6)]


def some(count: int, seed: int = 1, servers: list[Server] = SERVERS, loads: int = 1) -> list[Request]:
    """Requests in any order, of every fate."""
    draw = random.Random(seed)
    made = []
    for index in range(count):
        fate = draw.choice([Fate.ANSWERED] * 8 + list(Fate))
        lost = fate is not Fate.ANSWERED
        made.append(
            Request(
                f"load{draw.randrange(loads)}", index, draw.randrange(10_000) / 1000,
                None if fate is Fate.NOT_SENT else draw.randrange(90) / 1000, None if lost else 0.001,
                draw.randrange(2_000) / 10_000, fate, 0 if lost else draw.choice([200, 200, 404, 503]),
                draw.choice(list(Lane)), 1, UNKNOWN_SERVER if lost else draw.choice(servers),
            )
        )  # fmt: skip
    return made


def raw(*intended: int, server: int = 0) -> bytes:
    rows = [(at, i, 0, 1, 2, 200, server, 0, 0, 1, 0, 2, 0, 0, NO_CODE) for i, at in enumerate(intended)]
    return b"".join(RECORD.pack(*row) for row in rows)


class TestOrder:
    def test_records_in_order_are_not_copied(self) -> None:
        records = memoryview(raw(1, 2, 2, 5))
        assert packing.by_time(records) is records
        assert Requests.of_loads([("load", records, [])]).raw is records

    def test_others_are_sorted_and_equals_stay_as_they_were(self) -> None:
        requests = Requests.of_loads([("load", raw(3, 1, 3, 2, 1), [])])
        assert list(requests.intended) == [1, 1, 2, 3, 3]
        assert list(requests.indices) == [1, 4, 3, 0, 2]

    def test_several_files_are_one_sequence_with_one_table_of_servers(self) -> None:
        parts = [("a", raw(1, 4, server=1), ["web/v1/x"]), ("a", raw(2, 3, server=1), ["web/v2/y"])]
        requests = Requests.of_loads(parts)
        assert [r.version for r in requests] == ["v1", "v2", "v2", "v1"]
        assert requests.loads == ["a"]

    def test_an_empty_load_is_no_trouble(self) -> None:
        assert len(Requests.of_loads([("a", b"", []), ("b", b"", ["web/v1/x"])])) == 0


class TestParts:
    def test_a_window_is_what_began_in_it(self) -> None:
        requests = Requests.of(some(500))
        begins = [r.at + (r.late or 0.0) for r in requests]
        expected = [r.index for r, at in zip(requests, begins, strict=True) if 2.0 <= at < 5.0]
        assert [r.index for r in requests.between(2.0, 5.0)] == expected
        assert not requests.in_order

    def test_a_window_of_requests_sent_in_order_is_no_copy(self) -> None:
        requests = Requests.of_loads([("load", raw(*range(0, 10**9, 10**7)), [])])
        part = requests.between(0.2, 0.4)
        assert (len(part), part[0].index) == (20, 20)
        assert isinstance(part.raw, memoryview)
        assert requests.between(0.0, 9.0) is requests

    def test_positions_may_be_picked_in_any_order(self) -> None:
        requests = Requests.of(some(50))
        wanted = [3, 4, 5, 40, 1, 2, 2]
        assert [r.index for r in requests.pick(wanted)] == [requests[i].index for i in wanted]
        assert [r.index for r in requests[4:9]] == [requests[i].index for i in range(4, 9)]

    def test_a_load_that_is_all_there_is_comes_back_itself(self) -> None:
        requests = Requests.of(some(50))
        assert requests.of_load("load0") is requests
        two = Requests.of(some(50, loads=2))
        assert {r.load for r in two.of_load("load1")} == {"load1"}


@pytest.mark.parametrize("servers", [SERVERS, [Server("web", "v1", f"p{i}") for i in range(400)]], ids=["few", "many"])
class TestKinds:
    """With more than 256 kinds a byte cannot tell them; everything must be the same then."""

    def test_they_add_up_to_what_is_there(self, servers: list[Server]) -> None:
        requests = Requests.of(some(2000, servers=servers))
        assert isinstance(requests.codes, array if len(servers) > 256 else bytes)
        by_server = Counter(r.server for r in list(requests)[100:1500])
        counted: Counter[Server] = Counter()
        for kind, count in requests.tally(100, 1500).items():
            counted[requests.origins[kind.origin][1]] += count
        assert counted == by_server

    def test_failures_are_where_they_are(self, servers: list[Server]) -> None:
        requests = Requests.of(some(2000, servers=servers))
        assert tables.failures(requests) == [i for i, r in enumerate(requests) if r.failed]
        assert requests.where(lambda kind: kind.status == 418) == []

    def test_latencies_are_those_of_a_sorted_list(self, servers: list[Server]) -> None:
        requests = Requests.of(some(2000, servers=servers))
        expected: dict[str, list[float]] = {}
        for r in requests:
            seconds = inf if r.latency is None or not r.answered else r.latency
            expected.setdefault(f"web/{r.version}" if r.version else "", []).append(seconds)
        found = tables.latencies(requests)
        assert {name: list(values) for name, values in found.items()} == {n: sorted(v) for n, v in expected.items()}

    def test_choices_are_counted_by_when_they_began(self, servers: list[Server]) -> None:
        requests = Requests.of(some(2000, servers=servers), start_ns=10**9)
        seen = sightings(History(requests=requests), "web")
        expected = Counter(r.version for r in requests if r.version and 3.0 <= r.at + (r.late or 0.0) < 4.0)
        assert seen.count(3.0, 4.0) == expected
        assert Counter(version for at, version in seen.each() if 3.0 <= at < 4.0) == expected

    def test_a_window_is_settled_up_to_the_first_that_was_not_over(self, servers: list[Server]) -> None:
        requests = Requests.of(some(2000, servers=servers))
        seen = sightings(History(requests=requests), "web")
        began = {r: r.at + (r.late or 0.0) for r in requests}
        over = [at for r, at in began.items() if 3.0 <= at < 4.0 and r.ended_at > 4.0]
        assert seen.settled(3.0, 4.0) == pytest.approx(min(over))
        assert seen.settled(3.0, inf) == inf


def test_ids_are_those_of_the_requests() -> None:
    requests = Requests.of(some(200, loads=2))
    assert list(requests.ids()) == [r.id for r in requests]
    assert list(requests.ids(lambda kind: not kind.fate)) == [r.id for r in requests if r.answered]


class TestGap:
    def test_it_is_the_longest_time_between_two_sends_of_a_load(self) -> None:
        requests = Requests.of(some(300, loads=2))
        gaps = []
        for load in requests.loads:
            begins = sorted(r.at + (r.late or 0.0) for r in requests if r.load == load)
            gaps += [b - a for a, b in itertools.pairwise(begins)]
        assert sends.largest_gap(requests) == pytest.approx(max(gaps))

    def test_one_request_leaves_none(self) -> None:
        assert sends.largest_gap(Requests.of(some(1))) == 0.0
        assert sends.largest_gap(Requests()) == 0.0


class TestDistribution:
    def test_it_is_a_sorted_sequence(self) -> None:
        values = Distribution({30: 2, 10: 1}, infinite=1)
        assert list(values) == [1e-6, 3e-6, 3e-6, inf]
        assert [values[0], values[2], values[-1], values[1:3]] == [1e-6, 3e-6, inf, [3e-6, 3e-6]]
        with pytest.raises(IndexError):
            values[4]

    def test_several_are_one(self) -> None:
        one, two = Distribution({10: 1, 30: 1}), Distribution({30: 2}, infinite=2)
        assert list(Distribution.merged([one, two])) == [1e-6, 3e-6, 3e-6, 3e-6, inf, inf]
        assert list(Distribution.merged([])) == []


def test_a_request_that_never_left_began_when_it_was_intended() -> None:
    row = RECORD.pack(500, 1 << PART_BITS, NEVER, NEVER, 10, 0, 0, Fate.NOT_SENT, 0, 0, 0, 0, 0, 0, NO_CODE)
    assert list(Requests.of_loads([("load", row, [])]).began) == [500]
