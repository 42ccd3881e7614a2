"""`hpack` without what it imports only to log what nobody reads and to name types.

`logging` and `typing` take five times as long to import as hpack itself, and a load must be able to start in the middle
of a test. Where they are not imported yet - in the prober - hpack is given an empty thing in their place; whoever asks
for them later gets the real ones.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hpack import Decoder, HPACKError

_SPARED = ("logging", "typing")


class _Nothing(type(sys)):  # type: ignore[misc]
    """A module whose every name is nothing, which may be called and subscripted."""

    def __getattr__(self, name: str) -> _Nothing:
        return self

    def __call__(self, *_: object) -> _Nothing:
        return self

    def __getitem__(self, _: object) -> _Nothing:
        return self

    def __bool__(self) -> bool:
        return False


def _import() -> None:
    lacking = [name for name in _SPARED if name not in sys.modules]
    sys.modules.update({name: _Nothing(name) for name in lacking})
    try:
        __import__("hpack")
    finally:
        for name in lacking:
            del sys.modules[name]


if not TYPE_CHECKING:
    _import()
    from hpack import Decoder, HPACKError

__all__ = ["Decoder", "HPACKError"]
