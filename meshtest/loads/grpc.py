"""gRPC of a load: unary calls, each a stream of HTTP/2 with one message. Source: grpc/doc/PROTOCOL-HTTP2.md.

Not grpcio: it retries, reconnects and waits by itself, and what it hides is what a load must see.
"""

from __future__ import annotations

from meshtest.loads.grpc_frames import MEDIA_TYPE, frame
from meshtest.loads.http2 import Http2
from meshtest.model.record import GRPC


class Grpc(Http2):
    """All calls of a target."""

    transport = GRPC
    grpc = True

    def body(self) -> bytes:
        return frame(self.target["body"])

    def own_fields(self, given: dict[str, str]) -> list[tuple[str, str]]:
        return call_fields(given, self.timeout)


def call_fields(given: dict[str, str], timeout: int) -> list[tuple[str, str]]:
    """What a call has beside HTTP's own; whatever the user gave stands."""
    own = {"te": "trailers", "content-type": MEDIA_TYPE}
    if timeout:
        own["grpc-timeout"] = f"{max(timeout // 1_000_000, 1)}m"
    return [(name, value) for name, value in own.items() if name not in given]
