"""The pieces that need no Locust: fates, clocks, rows on their way."""

from __future__ import annotations

import errno
import http.client
from pathlib import Path

import pytest
from meshtest_locust.clock import Offset
from meshtest_locust.fates import fate_of
from meshtest_locust.journal import Journal, Parcel, shifted
from meshtest_locust.options import Options

from meshtest.model.record import ANSWERED, NOT_SENT, PART_BITS, RECORD
from meshtest.model.request import Fate


class HTTPParseError(Exception):
    """As geventhttpclient's."""


class HTTPConnectionClosed(HTTPParseError):
    """As geventhttpclient's."""


class GreenletExit(BaseException):
    """As gevent's."""


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def amid(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


@pytest.mark.parametrize(
    ("error", "fate"),
    [
        (ConnectionRefusedError(111, "refused"), Fate.REFUSED),
        (caused(Exception("new connection"), ConnectionRefusedError(111, "refused")), Fate.REFUSED),
        (OSError(errno.EHOSTUNREACH, "no route"), Fate.REFUSED),
        (ConnectionResetError(104, "reset"), Fate.RESET),
        (Exception("protocol", ConnectionResetError(104, "reset")), Fate.RESET),
        (BrokenPipeError(32, "pipe"), Fate.RESET),
        (http.client.RemoteDisconnected("closed"), Fate.CLOSED),
        (http.client.IncompleteRead(b"abc", 97), Fate.CLOSED),
        (http.client.BadStatusLine("SSH-2.0"), Fate.GARBLED),
        (HTTPConnectionClosed("connection closed."), Fate.CLOSED),
        (amid(HTTPConnectionClosed("connection closed."), ConnectionResetError(104, "reset")), Fate.RESET),
        (HTTPParseError("Invalid EOF state", 14), Fate.CLOSED),
        (HTTPParseError("Expected HTTP/, RTSP/ or ICE/", 8), Fate.GARBLED),
        (TimeoutError("timed out"), Fate.TIMEOUT),
        (OSError(errno.EMFILE, "too many"), Fate.NOT_SENT),
        (OSError(errno.EIO, "strange"), Fate.RESET),
        (GreenletExit(), Fate.NOT_SENT),
        (ValueError("invalid header"), Fate.NOT_SENT),
    ],
    ids=repr,
)
def test_an_exception_tells_the_fate(error: BaseException, fate: Fate) -> None:
    assert Fate(fate_of(error)) is fate


def test_the_clock_of_the_shortest_way_is_believed_and_its_bound_holds() -> None:
    """Their clock is 1000 ns ahead. The second answer took one way only, so its estimate is off by its whole bound."""
    offset = Offset()
    offset.learn(100, 1150, 200)
    assert offset.best(200) == (1000, 50)
    offset.learn(300, 1300, 500)
    assert offset.best(500) == (1000, 50)
    offset.learn(600, 1601, 602)
    assert offset.best(602) == (1000, 1)
    assert offset.best(602 + 10**9)[1] == 1 + 10**5, "clocks drift"


def test_rows_go_to_the_master_with_their_names_and_onto_its_clock() -> None:
    sent: list[tuple[list[bytes], bytes]] = []
    journal = Journal("users", timeout=5.0)
    journal.write_to(Parcel(lambda names, rows: sent.append((names, rows))), part=3)
    first, second, third = journal.begin(), journal.begin(), journal.begin()
    first.answered(200, {"x-meshtest-served-by": "web/v1/p", "x-envoy-attempt-count": "2"}.get)
    first.end(ANSWERED, 5)
    first.end(NOT_SENT)
    third.answered(204, {}.get)
    journal.close()
    ((names, rows),) = sent
    assert names == [b"web/v1/p"]
    written = [*RECORD.iter_unpack(shifted(rows, 1000))]
    assert [(row[1] - (3 << PART_BITS), row[5], row[6], Fate(row[7]), row[9], row[11]) for row in written] == [
        (0, 200, 1, Fate.ANSWERED, 2, 5),
        (1, 0, 0, Fate.NOT_SENT, 0, 0),
        (2, 204, 0, Fate.ANSWERED, 0, 0),
    ]
    assert [row[0] for row in written] == [attempt.intended + 1000 for attempt in (first, second, third)]


def test_a_trace_that_the_user_began_is_kept() -> None:
    journal = Journal("users", timeout=5.0)
    journal.write_to(Parcel(lambda *_: None), part=0)
    attempt = journal.begin()
    assert dict(journal.headers(attempt, {}))["x-meshtest-id"] == "users-0"
    assert len(dict(journal.headers(attempt, {}))["traceparent"]) == 55
    assert "traceparent" not in dict(journal.headers(attempt, {"traceparent": "00-1-2-01"}))


@pytest.mark.parametrize(("sampled", "asked"), [(0.0, 0), (0.01, 2), (0.25, 50), (1.0, 200)])
def test_a_share_of_the_requests_asks_for_a_sample(sampled: float, asked: int) -> None:
    journal = Journal("users", timeout=5.0, sampled=sampled)
    journal.write_to(Parcel(lambda *_: None), part=0)
    flags = [dict(journal.headers(journal.begin(), {}))["traceparent"][-2:] for _ in range(200)]
    assert (flags.count("01"), flags.count("00")) == (asked, 200 - asked)


def test_the_command_line_is_locusts_own(tmp_path: Path) -> None:
    (tmp_path / "j.py").touch()
    options = Options.of({"locustfile": tmp_path / "j.py", "users": 9, "tags": ["a", "b"], "classes": ["Buyer"]})
    line = ["-f", f"{tmp_path}/j.py", "Buyer", "--tags", "a", "b", "-u", "9", "-r", "9"]
    assert options.command_line[: len(line)] == line, "the tags would take the class for one of theirs"
    assert options.worker_line == line[:-4]
    assert "--headless" in options.command_line
