"""From the short words of a test (`delay="800ms"`, `headers={"x-user": "7"}`) to the model's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from meshtest.errors import UsageError
from meshtest.manifests.quantities import seconds as parsed
from meshtest.model.route import Abort, Delay, Fault, HeaderMatch, Match, StringMatch


def match(
    *, headers: Mapping[str, str] | None = None, cookies: Mapping[str, str] | None = None, path: str = ""
) -> Match:
    """Exact header values, exact cookie values (as a regex on the cookie header, Istio's way), a path prefix."""
    exact = ((n.lower(), StringMatch(kind="exact", value=v)) for n, v in (headers or {}).items())
    conditions = [HeaderMatch(name=name, match=value) for name, value in exact]
    for name, value in (cookies or {}).items():
        pattern = f"^(.*?;\\s*)?({re.escape(name)}={re.escape(value)})(;.*)?$"
        conditions.append(HeaderMatch(name="cookie", match=StringMatch(kind="regex", value=pattern)))
    return Match(headers=tuple(conditions), path=StringMatch(kind="prefix", value=path) if path else None)


def fault(*, delay: str | float | None, abort: int | None, percent: float) -> Fault:
    """At least one of the two; `delay` in seconds or as `800ms`."""
    if delay is None and abort is None:
        raise UsageError('a fault needs delay="800ms" or abort=503 (or both)')
    if not 0 < percent <= 100:
        raise UsageError(f"a fault's percent is above 0 and at most 100, not {percent:g}")
    if abort is not None and not 200 <= abort <= 599:
        raise UsageError(f"abort={abort}: an HTTP status from 200 to 599")
    return Fault(
        delay=None if delay is None else Delay(seconds=seconds(delay), percent=percent),
        abort=None if abort is None else Abort(http_status=abort, percent=percent),
    )


def seconds(value: str | float) -> float:
    """`0.8`, `"800ms"`, `"1m30s"`"""
    result = value if isinstance(value, (int, float)) else parsed(value)
    if result is None or result <= 0:
        raise UsageError(f"delay {value!r}: a time above 0, as seconds or like 800ms, 1.5s, 1m")
    return float(result)
