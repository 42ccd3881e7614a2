"""Regular expressions as Envoy reads them: RE2, the same engine, so that what it refuses is known beforehand."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

MAX_PROGRAM = 32768
"""Istio's `re2.max_program_size.error_level` (its Envoy bootstrap); Envoy's own default is 100."""


def refusal(pattern: str) -> str:
    """What Envoy would say against the pattern; "" if it accepts it."""
    try:
        size = _compiled(pattern, False).programsize
    except ValueError as error:
        return str(error)
    return f"its program has {size} instructions, at most {MAX_PROGRAM} are allowed" if size > MAX_PROGRAM else ""


def matches(pattern: str, value: str, *, ignore_case: bool = False) -> bool:
    """The whole value matches; never, for a pattern that RE2 refuses."""
    try:
        return _compiled(pattern, ignore_case).fullmatch(value) is not None
    except ValueError:
        return False


def replaced(pattern: str, substitution: str, value: str) -> str:
    r"""Every match gives way to the substitution, in which `\1` is the first group and `\0` the whole match."""
    return str(_compiled(pattern, False).sub(substitution.replace(r"\0", r"\g<0>"), value))


@lru_cache(maxsize=4096)
def _compiled(pattern: str, ignore_case: bool) -> Any:
    """Imported on the first pattern: most manifests have none."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        text = error.args[0] if error.args else "not a regular expression"
        raise ValueError(text.decode(errors="replace") if isinstance(text, bytes) else str(text)) from None
