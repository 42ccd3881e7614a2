"""The layout of a request on disk, shared by the prober (which must start in milliseconds) and its readers.

Imports nothing but `struct`: importing `dataclasses` or `typing` here would delay the first request of every load.
"""

from __future__ import annotations

import struct

RECORD = struct.Struct("<QIIIIHHBBBB")
"""intended (ns, CLOCK_MONOTONIC), index, sent, first byte, done (each 100 ns after intended; NEVER if not reached),
status, server (index of names; 0 = unknown), fate, lane, attempts (as the entry proxy counts; 0 = not told),
reused (0/1). 32 bytes, every field aligned: a column of a million records is one strided memoryview."""

NEVER = 0xFFFF_FFFF
TICK_NS = 100
"""Unit of the offsets in a RECORD: 100 ns reach 429 s in 32 bits."""

SERVED_BY = "x-meshtest-served-by"
"""Response header that the entry proxy adds: `service/version/pod` of the endpoint it chose."""

REQUEST_ID = "x-meshtest-id"
"""Request header of the prober, `LOAD-INDEX`; services pass it on, so hops of one request can be found."""

ATTEMPTS = "x-envoy-attempt-count"
"""Response header with the number of tries the entry proxy made."""

MOST_NAMES = 0xFFFF
"""Names a load can tell apart; what comes later counts as unknown."""

ANSWERED, REFUSED, RESET, CLOSED, TIMEOUT, GARBLED, NOT_SENT = range(7)
"""The values of request.Fate, for those who cannot afford an enum."""

KEEPALIVE, FRESH = range(2)
"""The values of request.Lane."""
