"""Between requests and RECORDs: units, single rows, and whole tables moved column by column."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from meshtest.model.record import NEVER, NO_CODE, RECORD, TICK_NS

if TYPE_CHECKING:
    from meshtest.model.request import Request


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


def shifted(records: bytes, by: int) -> bytes | bytearray:
    """Records whose server index is moved by `by`, from one load's names to the common table."""
    if not by:
        return records
    moved = bytearray(records)
    column = memoryview(moved).cast("H")[13::20]
    column[:] = memoryview(array("H", [index + by for index in column]))
    return moved


def by_time(raw: bytearray) -> bytearray:
    """The records sorted by intended time (stable). They nearly are already, and then Python's sort is linear."""
    words = memoryview(raw).cast("Q")
    intended = words[0::5].tolist()
    order = sorted(range(len(intended)), key=intended.__getitem__)
    if order == list(range(len(order))):
        return raw
    result = bytearray(len(raw))
    for word in range(RECORD.size // 8):
        column = words[word::5].tolist()
        memoryview(result).cast("Q")[word::5] = memoryview(array("Q", [column[i] for i in order]))
    return result
