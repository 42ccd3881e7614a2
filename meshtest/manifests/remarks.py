"""Comments that are meant for us, `# meshtest: ...`: YAML parsers drop comments, so the text is scanned for them.

One at the end of a line is about that line; one that stands alone is about the next line that is no comment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from meshtest.model.document import Remark

WORD = "meshtest:"
_COMMENT = re.compile(rf"(?P<before>^|.*?\s)#\s*{WORD}\s*(?P<text>.*?)\s*$")


def remarks_of(text: str) -> tuple[Remark, ...]:
    """All of a file; files without the word cost one search."""
    return tuple(_scanned(text.splitlines())) if WORD in text else ()


def _scanned(lines: Sequence[str]) -> Iterator[Remark]:
    for number, line in enumerate(lines, start=1):
        if WORD in line and (found := _COMMENT.match(line)):
            alone = not found["before"].strip()
            yield Remark(found["text"], number, _next(lines, number) if alone else number)


def _next(lines: Sequence[str], number: int) -> int:
    """The first line after `number` with something to be about."""
    following = enumerate(lines[number:], start=number + 1)
    return next((n for n, line in following if (bare := line.strip()) and not bare.startswith("#")), number)
