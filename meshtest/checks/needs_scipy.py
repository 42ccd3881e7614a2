"""scipy, for the checks that need it: imported when one of them is judged, for that takes most of a second."""

from __future__ import annotations

from typing import Any

from meshtest.errors import UsageError


def scipy_stats(check: str) -> Any:
    """The module scipy.stats; UsageError that names the extra if it is not installed."""
    try:
        import scipy.stats
    except ImportError:
        raise UsageError(f"the check {check!r} needs scipy: pip install 'meshtest[stats]'") from None
    return scipy.stats
