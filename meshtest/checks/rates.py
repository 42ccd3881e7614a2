"""Error rates as a person writes them: `0.001` or `"0.1%"`."""

from __future__ import annotations

from meshtest.errors import UsageError

Rate = float | str


def rate(value: Rate, name: str) -> float:
    """Between 0 and 1; UsageError for anything else."""
    try:
        number = _number(value)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(value, bool) or not 0 < number < 1:
        raise UsageError(f'{name} {value!r}: a share above 0 and below 1, such as 0.001 or "0.1%"')
    return number


def _number(value: Rate) -> float:
    if isinstance(value, str) and value.strip().endswith("%"):
        return float(value.strip().removesuffix("%")) / 100
    return float(value)
