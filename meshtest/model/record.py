"""The layout of a request on disk, shared by the prober (which must start in milliseconds) and its readers.

Imports nothing but `struct`: importing `dataclasses` or `typing` here would delay the first request of every load.
"""

from __future__ import annotations

import struct

RECORD = struct.Struct("<QIIIIHHBBBBIHBB")
"""intended (ns, CLOCK_MONOTONIC), index, sent, first byte, done (each 100 ns after intended; NEVER if not reached),
status (of gRPC, what its code maps to), server (index of names; 0 = unknown), fate, lane, attempts (as the entry proxy
counts; 0 = not told), reused (0/1), size (bytes of the answer's body; of all there was if it was cut), target (which of
the load's targets, in the order given), transport, code (gRPC status, or why a WebSocket closed minus 1000; NO_CODE).

40 bytes, every field aligned: a column of a million records is one strided memoryview. A file holds whole RECORDs, so
what was written before a SIGKILL can be read."""

PART_BITS = 24
"""An index is the number of the process that sent the request, shifted by this, and a count from 0."""

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

MOST_SIZE = 0xFFFF_FFFF
NO_CODE = 0xFF

ANSWERED, REFUSED, RESET, CLOSED, TIMEOUT, GARBLED, NOT_SENT, TLS = FATES = range(8)
"""The values of request.Fate, for those who cannot afford an enum."""

KEEPALIVE, FRESH, HELD = range(3)
"""The values of request.Lane."""

HTTP1, HTTP2, GRPC, WEBSOCKET, TCP, GRPC_STREAM = range(6)
"""The values of request.Transport."""
