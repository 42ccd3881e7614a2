"""Load on the mesh: the open-loop prober, in a process of its own, and the handle that the runner holds.

what is asked for    spec.py, of target.py and shape.py; parse.py reads what people write
the runner           load.py, made of process.py; figures.py: what the processes say of themselves
each process         prober.py: pacing.py (when), stamp.py (what is different in each), exchange.py (one fate each),
                     tally.py (what it knows of itself); sockets.py, tunnel.py, tls_link.py
the transports       http1.py; http2.py on http2_session.py, grpc.py; held.py: websocket.py, grpc_stream.py, tcp.py
a single request     ask.py on line.py: ask_http1.py, ask_http2.py, ask_stream.py
"""

from __future__ import annotations

from meshtest.loads.load import Load
from meshtest.loads.spec import LoadSpec
from meshtest.spi.load import Summary

__all__ = ["Load", "LoadSpec", "Summary"]
