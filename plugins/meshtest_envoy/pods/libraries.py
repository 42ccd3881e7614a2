"""What only some pods need: h2 and wsproto, which are not of the standard library, ssl, and telling of spans.

The supervisor starts without site-packages (`-S`) and without ssl, since both cost the start of every mesh. The runner
tells it where the libraries are; a stand-in looks there when a connection needs them. One whose ports are known to need
them gets them from the zygote, imported once for all: an import of 60 ms and 4 MiB that each pod would repeat.
"""

from __future__ import annotations

import sys

from meshtest_envoy.pods.behaviour import PREFIX
from meshtest_envoy.pods.order import Order

NAMES = ("h2", "hpack", "hyperframe", "wsproto", "h11")
HTTP2 = ("http2", "grpc")

_folders: list[str] = []


def are_in(folders: list[str]) -> None:
    """Called once, when the supervisor starts."""
    _folders[:] = folders


def find() -> None:
    """Let them be imported from now on."""
    sys.path += [folder for folder in _folders if folder not in sys.path]


def restore_ssl() -> None:
    """client.py makes it unimportable for asyncio's sake; asyncio never learns of it, as TLS is done in tls.py."""
    if sys.modules.get("ssl", sys) is None:
        del sys.modules["ssl"]


def needed(order: Order) -> bool:
    """The pod is known to need some of it."""
    return order.tls is not None or _speaks_http2(order) or _tells_spans(order)


def _speaks_http2(order: Order) -> bool:
    return any(protocol in HTTP2 for _, protocol in order.protocols)


def _tells_spans(order: Order) -> bool:
    return PREFIX + "spans" in order.annotations


def prepare(order: Order) -> bool:
    """Import what the pod will need, in the process that it is going to be forked from; True if that was new."""
    before = len(sys.modules)
    if _speaks_http2(order):
        find()
        import meshtest_envoy.pods.http2_client
        import meshtest_envoy.pods.http2_server
    if _tells_spans(order):
        import meshtest_envoy.pods.telling
    if order.tls is not None:
        restore_ssl()
        import meshtest_envoy.pods.tls  # noqa: F401
    return len(sys.modules) > before
