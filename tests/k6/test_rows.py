"""k6's rows and error codes as requests: what each code means, and where a request began."""

from __future__ import annotations

import pytest
from meshtest_k6.rows import AT, CODE, ERROR, HEADER, METRIC, STATUS, VALUE, Sample, fate_of, index_of, key_of
from meshtest_k6.script import _seconds

from meshtest.model.record import PART_BITS, RECORD
from meshtest.model.request import Fate

END = 1_700_000_000_000_000_000


def row(
    metric: str, value: float, *, status: str = "200", code: str = "", error: str = "", end: int = END
) -> list[str]:
    cells = [""] * len(HEADER)
    cells[METRIC], cells[AT], cells[VALUE] = metric, str(end), str(value)
    cells[STATUS], cells[CODE], cells[ERROR] = status, code, error
    return cells


@pytest.mark.parametrize(
    ("code", "error", "fate"),
    [
        ("", "", Fate.ANSWERED), ("1404", "", Fate.ANSWERED), ("1503", "", Fate.ANSWERED),
        ("1212", "connection refused", Fate.REFUSED), ("1210", "dial", Fate.REFUSED), ("1220", "reset", Fate.RESET),
        ("1201", "write: broken pipe", Fate.RESET), ("1050", "request timeout", Fate.TIMEOUT),
        ("1211", "dial: i/o timeout", Fate.TIMEOUT), ("1310", "x509", Fate.TLS), ("1300", "tls", Fate.TLS),
        ("1101", "lookup: no such host", Fate.NOT_SENT), ("1020", "invalid URL", Fate.NOT_SENT),
        ("1000", "EOF", Fate.CLOSED), ("1000", "unexpected EOF", Fate.CLOSED), ("1000", "malformed HTTP", Fate.GARBLED),
        ("1633", "stream error", Fate.RESET), ("1701", "decompression", Fate.GARBLED),
    ],
)  # fmt: skip
def test_an_error_code_is_a_fate(code: str, error: str, fate: Fate) -> None:
    assert fate_of(code, error) == fate


def test_a_request_began_before_it_was_blocked() -> None:
    sample = Sample()
    parts = {"duration": 5.0, "blocked": 2.0, "connecting": 1.5, "receiving": 1.0, "failed": 0}
    sample.add(row("http_reqs", 1))
    for part, value in parts.items():
        sample.add(row(f"http_req_{part}", value))
    record = sample.row(7, 0, -END, size=3, attempts="2", lane=0)
    assert record == (-7_000_000, 7, 0, 60_000, 70_000, 200, Fate.ANSWERED, 0, 2, 0, 3, 0, 0, 255)


def test_redirects_that_were_followed_are_one_request() -> None:
    sample = Sample()
    for end, status in ((END, "302"), (END + 9_000_000, "200")):
        sample.add(row("http_reqs", 1, status=status, end=end))
        sample.add(row("http_req_duration", 2.0, status=status, end=end))
    begin, *_, done, status_, _, _, _, _, _, _, _, _ = sample.row(0, 0, 0, 0, "", 1)
    assert (begin, done, status_) == (END - 2_000_000, 110_000, 200)


def test_one_that_failed_began_when_the_wrapper_says() -> None:
    sample = Sample()
    sample.add(row("http_reqs", 1, status="0", code="1050", error="request timeout"))
    record = sample.row(0, END // 1_000_000 - 200, 0, 0, "", 1)
    assert (record[0], record[3], record[4], record[5]) == (END - 200_000_000, 0xFFFF_FFFF, 2_000_000, 0)
    RECORD.pack(*record[:6], 1, *record[6:])


def test_a_key_says_whose_request_it_is() -> None:
    cells = row("http_reqs", 1)
    cells[-1] = "meshtest=3-12-1700000000000"
    assert index_of(key_of(cells)) == (2 << PART_BITS | 12, 1_700_000_000_000)
    cells[-1], cells[-2] = "", "mine=x&meshtest=1-0-5"
    assert key_of(cells) == "1-0-5"
    assert key_of(row("iterations", 1)) == ""


@pytest.mark.parametrize(("text", "seconds"), [("1h2m3.5s", 3723.5), ("10m30s", 630.0), ("250ms", 0.25), ("0s", 0.0)])
def test_durations_are_read_as_go_writes_them(text: str, seconds: float) -> None:
    assert _seconds(text) == seconds
