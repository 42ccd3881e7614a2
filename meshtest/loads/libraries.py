"""Where the libraries are that some transports need. The prober runs without site-packages (`-S`), as looking through
them would delay the first request of every load; it is told the folders of those that its targets need, and no others.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from meshtest.errors import LoadError
from meshtest.model.request import Transport

_NEEDED = {
    Transport.HTTP2: ("hpack",),
    Transport.GRPC: ("hpack",),
    Transport.GRPC_STREAM: ("hpack",),
}


def folders(transport: Transport) -> list[str]:
    """To look for modules in, in this order."""
    return list(dict.fromkeys(_folder(name) for name in _NEEDED.get(transport, ())))


def _folder(name: str) -> str:
    found = importlib.util.find_spec(name)
    if found is None or not found.origin:
        raise LoadError(f"the library {name!r} is missing, which meshtest depends on: install meshtest again")
    return str(Path(found.origin).parent.parent)
