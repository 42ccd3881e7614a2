"""Between requests and RECORDs: units, single rows, and whole tables moved at once.

Plain Python is quick enough for a million if every step is one call into C. numpy would be quicker still, but takes
longer to import than most runs take to be judged, and everything here would need a second path for those without it.
"""

from __future__ import annotations

import itertools
import operator
import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from meshtest.model.record import NEVER, NO_CODE, RECORD, TICK_NS

if TYPE_CHECKING:
    from meshtest.model.request import Request

Records = bytes | bytearray | memoryview
"""Whole RECORDs, in memory or a mapped file."""

Codes: TypeAlias = "bytes | array[int]"
"""A small number a request; a byte each unless there are more than 256 different ones."""

KIND = struct.Struct("<HHBBBB")
"""The fourth 64-bit word of RECORD: status, server, fate, lane, attempts, reused."""

_FEW = 32
"""Up to so many codes, looking for each in turn is quicker than counting all in one pass."""

_ROW = struct.Struct(f"{RECORD.size}s")


def seconds(ticks: int) -> float | None:
    return None if ticks == NEVER else ticks * TICK_NS / 1e9


def ticks(seconds: float | None) -> int:
    return NEVER if seconds is None else min(round(seconds * 1e9 / TICK_NS), NEVER - 1)


def row(request: Request, origin: int, start_ns: int) -> bytes:
    r = request
    return RECORD.pack(
        start_ns + round(r.at * 1e9), r.index, ticks(r.late), ticks(r.first_byte), ticks(r.latency),
        r.status, origin, r.fate, r.lane, r.attempts, r.reused, r.size, r.target, r.transport,
        NO_CODE if r.code is None else r.code,
    )  # fmt: skip


def shifted(records: Records, by: int) -> Records:
    """Records whose server index is moved by `by`, from one load's names to the common table."""
    if not by or not records:
        return records
    moved = bytearray(records)
    column = memoryview(moved).cast("H")[13::20]
    column[:] = memoryview(array("H", map(by.__add__, column.tolist())))
    return moved


def ascending(values: Sequence[int]) -> bool:
    return all(map(operator.le, values, itertools.islice(values, 1, None)))


def by_time(raw: Records) -> Records:
    """The records sorted by intended time (stable); as they are if they already stand so.

    They nearly do, as a file is in order of completion: Python's sort is linear then.
    """
    intended = memoryview(raw).cast("Q")[0::5].tolist()
    if ascending(intended):
        return raw
    order = sorted(range(len(intended)), key=intended.__getitem__)
    del intended
    rows = [row for (row,) in _ROW.iter_unpack(raw)]
    return b"".join([rows[i] for i in order])


def later(times: memoryview, ticks: memoryview) -> array[int]:
    """times + ticks in ns, where there are ticks.

    A column of 64-bit words is one large integer, and one addition adds a million of them: no sum overflows into the
    next. Four times as quick as adding them one by one.
    """
    late = array("I", ticks.tobytes())
    if NEVER in late:
        late = array("I", [0 if tick == NEVER else tick for tick in late])
    words = array("I", bytes(8 * len(late)))
    words[0::2] = late
    offsets = int.from_bytes(words.tobytes(), "little") * TICK_NS
    return array("Q", (int.from_bytes(times.tobytes(), "little") + offsets).to_bytes(8 * len(late), "little"))


def picked(raw: Records, positions: Iterable[int]) -> bytes:
    """The records at these positions; neighbours are copied together."""
    view, size = memoryview(raw), RECORD.size
    return b"".join(view[first * size : last * size] for first, last in _runs(positions))


def _runs(positions: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Positions as ranges [first, last) of neighbours."""
    first = last = -1
    for position in positions:
        if position != last:
            if last >= 0:
                yield first, last
            first = position
        last = position + 1
    if last >= 0:
        yield first, last


class _Numbers(dict[int, int]):
    """Numbers what it is asked for, in order of appearance."""

    def __missing__(self, key: int) -> int:
        number = self[key] = len(self)
        return number


def numbered(words: array[int]) -> tuple[Codes, list[int]]:
    """Of each word the number of its value, and the values by number."""
    numbers = _Numbers()
    try:
        return bytes(map(numbers.__getitem__, words)), list(numbers)
    except ValueError:  # more than 256
        return array("L", map(numbers.__getitem__, words)), list(numbers)


def mask(codes: Codes, wanted: Sequence[bool]) -> Iterable[int]:
    """Of each code, whether it is wanted."""
    if isinstance(codes, bytes):
        return codes.translate(bytes(wanted).ljust(256, b"\0"))
    return map(wanted.__getitem__, codes)


def tally(codes: Codes, most: int, start: int, end: int) -> dict[int, int]:
    """How often each code below `most` occurs in codes[start:end]."""
    if isinstance(codes, bytes) and most <= _FEW:
        counts = ((code, codes.count(code, start, end)) for code in range(most))
        return {code: count for code, count in counts if count}
    return dict(Counter(codes[start:end]))
