"""Trouble of the machine: a full disk, no more memory, files or processes. It says nothing about any revision.

What it kept from being done is done later; a test that has met it has proven nothing. Not here: what cannot be written
to the state (store.py).
"""

from __future__ import annotations

import errno

PASSING = frozenset(
    {
        errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO,
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN,
    }
)  # fmt: skip
"""What may be otherwise in a moment, or once a person has looked after it."""
_REPORTED = (
    "MemoryError",
    *(f"{name}: [Errno {number}]" for number in PASSING for name in ("OSError", "BlockingIOError")),
)


def passes(error: OSError) -> bool:
    return error.errno in PASSING


def is_told_by(message: str) -> bool:
    """Of a test that failed, as its report has it: the exception and its text."""
    return message.startswith(_REPORTED)
