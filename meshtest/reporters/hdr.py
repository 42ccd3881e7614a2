"""Latencies as an HdrHistogram log (`.hlog`), which the tools of that family plot and merge.

A line is one second of the run and one version: `Tag=web/v1`, when, how long, the longest in ms, and the histogram as
V2 of the encoding, deflated, in base64. Values are ns to three significant figures; the times on which they count are
the intended ones. A request without an answer has no latency, and a histogram no infinity: these are only counted, in a
comment at the end.

The package `hdrhistogram` decodes what is written here (the tests do), but it takes 0.9 us to record a value where
counting takes 0.1; and encoding is short. Format: HdrHistogram, AbstractHistogram.encodeIntoByteBuffer (cookies,
header, ZigZag LEB128 with runs of zeros) and HistogramLogWriter.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import TextIO

from meshtest.model.record import TICK_NS
from meshtest.model.request import Request, Requests

_COOKIE, _DEFLATED = 0x1C849313, 0x1C849314
"""V2 with counts of varying length; the same, deflated."""
_HEADER = struct.Struct(">IIIIQQd")
"""Cookie, bytes of counts, normalizing offset, significant figures, lowest and highest value, ratio to integers."""
_FIGURES = 3
_HALF = 10
"""log2 of half the sub-buckets: 2 * 10**3 values need 2048."""
_HIGHEST = 3_600_000_000_000
"""An hour."""

_HEAD = """#[Histogram log format version 1.3]
#[Latencies of answered requests in ns, from the intended time; one line a second and version]
#[BaseTime: {start:.3f} (seconds since epoch)]
#[StartTime: {start:.3f} (seconds since epoch)]
"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"
"""


def write_hdr(requests: Requests, file: TextIO, wall_start: float) -> int:
    """Returns the number of latencies in it."""
    file.write(_HEAD.format(start=wall_start))
    written = lost = 0
    for second, tag, values, unanswered in _intervals(requests):
        lost += unanswered
        if values:
            file.write(f"{f'Tag={tag},' if tag else ''}{second:.3f},1.000,{max(values) / 1e6:.3f},{encoded(values)}\n")
            written += values.total()
    file.write(f"#[not answered: {lost}]\n")
    return written


def _intervals(requests: Iterable[Request]) -> Iterator[tuple[int, str, Counter[int], int]]:
    """By second and version, in order of time: (second, tag, how often each ns, how many not answered)."""
    second, found, lost = None, dict[str, Counter[int]](), 0
    for request in requests:
        now = int(request.at // 1)
        if now != second:
            yield from _told(second, found, lost)
            second, found, lost = now, {}, 0
        if request.answered and request.latency is not None:
            ns = round(request.latency * 1e9 / TICK_NS) * TICK_NS
            found.setdefault(_tag(request), Counter())[ns] += 1
        else:
            lost += 1
    yield from _told(second, found, lost)


def _told(
    second: int | None, found: Mapping[str, Counter[int]], lost: int
) -> Iterator[tuple[int, str, Counter[int], int]]:
    if second is not None:
        yield from ((second, tag, values, 0) for tag, values in sorted(found.items()))
        yield second, "", Counter(), lost


def _tag(request: Request) -> str:
    """`web/v1`; commas and spaces would end it."""
    server = request.server
    name = f"{server.service}/{server.version}" if server.service and server.version else server.version
    return "".join("_" if c in ", \t\r\n" else c for c in name)


def encoded(values: Mapping[int, int]) -> str:
    """A histogram of ns as text."""
    counts: dict[int, int] = {}
    for value, count in values.items():
        index = _index(min(value, _HIGHEST))
        counts[index] = counts.get(index, 0) + count
    payload = b"".join(_payload(counts))
    data = _HEADER.pack(_COOKIE, len(payload), 0, _FIGURES, 1, _HIGHEST, 1.0) + payload
    deflated = zlib.compress(data)
    return base64.b64encode(struct.pack(">II", _DEFLATED, len(deflated)) + deflated).decode()


def _index(value: int) -> int:
    """Where a value is counted: by its power of two, and within that by its first 11 bits."""
    bucket = max(value.bit_length() - _HALF - 1, 0)
    return (bucket << _HALF) + (value >> bucket)


def _payload(counts: Mapping[int, int]) -> Iterator[bytes]:
    """Counts from index 0 on; a negative number stands for so many zeros."""
    expected = 0
    for index, count in sorted(counts.items()):
        if index > expected:
            yield _zigzag(expected - index)
        yield _zigzag(count)
        expected = index + 1


def _zigzag(number: int) -> bytes:
    """LEB128 of at most 9 bytes, the sign in the lowest bit."""
    rest, data = (number << 1) ^ (number >> 63), bytearray()
    while rest >= 0x80 and len(data) < 8:
        data.append(rest & 0x7F | 0x80)
        rest >>= 7
    data.append(rest)
    return bytes(data)
