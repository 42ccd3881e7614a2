"""What the bench makes of what the tools print and the server writes down; nothing is measured here."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import pytest

from tests.bench.__main__ import names
from tests.bench.peers.arrivals import judged, lateness
from tests.bench.peers.hey import Hey
from tests.bench.peers.honesty import Books
from tests.bench.peers.k6 import _ns
from tests.bench.peers.outages import _seen, outages
from tests.bench.peers.recorder import Log, Window
from tests.bench.peers.stall import truth
from tests.bench.peers.table import Row as Line
from tests.bench.peers.table import markdown, unmet
from tests.bench.peers.tool import Order, Row, Told, what
from tests.bench.peers.wrk import Wrk

ORDER = Order(port=1, seconds=1.0)
HEY = """
  Requests/sec:\t500.0000

Response time histogram:
  0.001 [1]\t|
  0.021 [940]\t|■■■■
  0.205 [7]\t|

Latency distribution:
  99% in 0.2013 secs

Status code distribution:
  [200]\t945 responses
  [503]\t3 responses

Error distribution:
  [5]\tGet "http://127.0.0.1:1/": read tcp: connection reset by peer
  [2]\tGet "http://127.0.0.1:1/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)
  [4]\tGet "http://127.0.0.1:1/": dial tcp 127.0.0.1:1: connect: connection refused
"""


def test_the_listing_names_benchmarks_and_not_what_they_are_made_of() -> None:
    assert {"load", "shift"} <= set(names())
    assert "peers" not in names()


@pytest.mark.parametrize(
    ("status", "error", "seconds", "expected"),
    [
        (200, "", 0.001, "ok"),
        (404, "", 0.001, "ok"),
        (200, "", 0.25, "slow"),
        (503, "", 0.25, "busy"),
        (0, "ConnectionRefusedError [Errno 111] Connection refused", 0.0, "refused"),
        (0, "timed out", 1.0, "stall"),
        (0, "connection closed.", 0.0, "reset"),
    ],
)
def test_what_a_tool_says_is_one_of_what_the_server_does(
    status: int, error: str, seconds: float, expected: str
) -> None:
    assert what(status, error, seconds) == expected


def test_hey_is_read(tmp_path: Path) -> None:
    told = Hey().told(ORDER, tmp_path, HEY)
    assert told.counts == {"ok": 938, "slow": 7, "busy": 3, "reset": 5, "stall": 2, "refused": 4}
    assert told.p99 == 0.2013


def test_wrk_is_read(tmp_path: Path) -> None:
    lines = {"requests": 100, "refused": 0, "reset": 4, "busy": 3, "stall": 1, "slow": 2, "p99": 0.25}
    told = Wrk().told(ORDER, tmp_path, "".join(f"{word}\t{number}\n" for word, number in lines.items()))
    assert told.counts == {"refused": 0, "reset": 4, "busy": 3, "stall": 1, "slow": 2, "ok": 95}
    assert told.p99 == 0.25


def test_times_of_k6_are_read_in_any_unit() -> None:
    assert _ns("1795387010") == 1795387010 * 10**9
    assert _ns("1795387010978586094") == 1795387010978586094


def test_the_servers_log_is_read(tmp_path: Path) -> None:
    entries = [(10, 0, 0), (20, 16, 1), (21, 1, 0), (30, 17, 1), (40, 4, 200_000)]
    path = tmp_path / "log"
    path.write_bytes(b"".join(struct.pack("<QII", *entry) for entry in entries))
    log = Log.read(path)
    assert list(log.arrivals) == [10, 21, 40]
    assert list(log.done) == ["ok", "reset", "slow"]
    assert list(log.windows) == [Window(20, 30, "reset")]


def test_lateness_is_measured_from_the_grid_that_fits() -> None:
    times = [k * 0.001 + (0.0005 if k % 10 == 5 else 0.0) for k in range(1000)]
    late = lateness(times)
    assert late[500] == pytest.approx(0.0, abs=2e-6)
    assert late[-1] == pytest.approx(0.0005, abs=2e-6)


def test_arrivals_count_after_the_warm_up() -> None:
    times = [round(k * 2e6) for k in range(1500) if k != 700]
    found = judged(times, spawned=-50_000_000, seconds=2.0)
    assert found.longest_hole == pytest.approx(0.004)
    assert found.start == pytest.approx(0.05)
    assert found.rate == pytest.approx(500, rel=0.01)


def test_a_share_of_nothing_is_none_and_too_much_is_invented() -> None:
    books = Books(Counter(reset=10, busy=5), Counter(reset=4, busy=7, slow=3), bytes_each=40.0)
    assert books.share("reset") == 0.4
    assert books.share("stall") is None
    assert books.invented == 2


def test_the_true_p99_of_a_stall_is_that_of_users_who_keep_coming() -> None:
    log = Log([], [], [Window(1_500_000_000, 2_000_000_000, "pause")])
    assert truth(log) == pytest.approx(0.46)  # 4,000 users, 500 of them wait 0 to 500 ms, 40 wait longer than this


def test_outages_are_found_in_any_tools_rows_and_a_hidden_one_is_told_from_one_it_did_not_send_into() -> None:
    ms = 1_000_000
    failed = {200, 201, 202, 203, 204}
    sends = [k for k in range(1000) if not 600 <= k < 605]
    rows = [Row(k * ms, 0.001, "refused" if k in failed else "ok") for k in sends]
    (found,) = outages(rows)
    assert found.seconds == pytest.approx(0.005, abs=1e-4)
    true = [Window(at * ms - ms / 2, at * ms + 4.5 * ms, "down") for at in (200, 400, 600)]
    seen = _seen(true, [found], [row.sent for row in rows], 1000.0)
    assert (seen.windows, seen.sent_in, seen.hidden, seen.detected) == (3, 2, 1, 1)
    assert seen.median == pytest.approx(0.0, abs=1e-4)


def test_what_was_told_is_summed_up() -> None:
    told = Told.of_rows([Row(k, k / 100, "ok") for k in range(100)])
    assert told.counts == {"ok": 100}
    assert told.p99 == 0.99


def test_the_table_says_what_is_not_there_and_which_aim_does_not_hold() -> None:
    lines = [Line("rate", ">= 2", {"ours": "1"}, False, "1"), Line("lies", "0", {"ours": "0", "theirs": "3"}, True)]
    text = markdown(lines, ["ours", "theirs", "other"], {"other": "not installed"})
    assert text.splitlines()[2] == "| rate | >= 2 | 1 |  | not installed |"
    assert unmet(lines) == ["rate: 1, aim >= 2"]
