"""What a load has come to while it runs: its growing files of records, each looked at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from pathlib import Path

from meshtest.lib.dataclass import dataclass
from meshtest.model.record import NEVER, PART_BITS, RECORD, TICK_NS

_COUNT = (1 << PART_BITS) - 1


@dataclass
class _Part:
    """The file of one process of the load."""

    path: Path
    seen: int = 0
    begins: list[int] = field(default_factory=list)
    """ns at which the sending of each finished request began, up to the first request that has not ended: of those
    behind it only the fast ones have, and to count them would favour a fast version."""
    behind: dict[int, int] = field(default_factory=dict)
    """Those, by number."""

    def look(self) -> list[int]:
        """The begins that are new."""
        with self.path.open("rb") as file:
            file.seek(self.seen)
            data = file.read()
        whole = data[: len(data) // RECORD.size * RECORD.size]
        self.seen += len(whole)
        for intended, index, sent, *_ in RECORD.iter_unpack(whole):
            self.behind[index & _COUNT] = intended if sent == NEVER else intended + sent * TICK_NS
        known = len(self.begins)
        while (begin := self.behind.pop(len(self.begins), None)) is not None:
            self.begins.append(begin)
        return self.begins[known:]


@dataclass
class Progress:
    """Follows a load by `requests/NAME.bin` and, of further processes, `NAME+1.bin`, `NAME+2.bin` ..."""

    path: Path
    _parts: dict[Path, _Part] = field(default_factory=dict)
    _after: int = -1
    _count: int = 0

    def _files(self) -> Iterator[Path]:
        if self.path.exists():
            yield self.path
            yield from self.path.parent.glob(f"{self.path.stem}+*.bin")

    @property
    def finished(self) -> int:
        return sum(path.stat().st_size // RECORD.size for path in self._files())

    def look(self) -> None:
        for path in self._files():
            part = self._parts.setdefault(path, _Part(path))
            self._count += sum(begin >= self._after for begin in part.look())

    def count(self, after: int) -> int:
        """Finished requests, as far as looked, that began at or after a moment."""
        if after != self._after:
            self._after = after
            self._count = sum(begin >= after for part in self._parts.values() for begin in part.begins)
        return self._count
