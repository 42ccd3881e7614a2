"""Samples as Prometheus' remote-write protocol has them: a protobuf message in Snappy's block format. Pure.

Both are written by hand, as little of either is needed: labels once a series (kept), then 10 to 20 bytes a sample; and
Snappy allows a block that is one literal, uncompressed (format_description.txt, 2.1): it goes over the loopback.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}

_VALUE = struct.Struct("<d").pack
_STALE = (0x7FF0000000000002).to_bytes(8, "little")
"""The NaN that says "this series has ended" (StaleNaN of Prometheus)."""
_STAMP_BYTES = 6
"""Of a time in ms as a varint, from 2004 to 2109: so each sample is of one size."""
_SAMPLE = bytes((2 << 3 | 2, 9 + 1 + _STAMP_BYTES, 1 << 3 | 1))
"""Before the value: a Sample, its length, the field of the value."""


def begin_series(labels: Mapping[str, str]) -> bytes:
    """A TimeSeries up to its one sample: the same in each request. Labels are sorted, as the protocol demands."""
    told = b"".join(_field(1, _text(1, name) + _text(2, value)) for name, value in sorted(labels.items()))
    return bytes((1 << 3 | 2,)) + _varint(len(told) + len(_SAMPLE) + 8 + 1 + _STAMP_BYTES) + told + _SAMPLE


def write_request(samples: Iterable[tuple[bytes, float | None]], at_ms: int) -> bytes:
    """A WriteRequest of (begun series, value) at one time; None ends the series."""
    stamp = bytes((2 << 3,)) + _varint(at_ms)
    assert len(stamp) == 1 + _STAMP_BYTES
    return b"".join(
        [part for begun, value in samples for part in (begun, _STALE if value is None else _VALUE(value), stamp)]
    )


def snappy(data: bytes) -> bytes:
    """One literal: its tag 63 << 2 is followed by the length less one in four bytes."""
    return _varint(len(data)) + (b"\xfc" + (len(data) - 1).to_bytes(4, "little") + data if data else b"")


def _field(number: int, content: bytes) -> bytes:
    """Of wire type 2: with its length before it."""
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _text(number: int, text: str) -> bytes:
    return _field(number, text.encode())


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
