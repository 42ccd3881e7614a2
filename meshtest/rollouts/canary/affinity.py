"""Session affinity: which cookie keeps a user on the canary, which on the primary, which is being taken back.

Rules: getSessionAffinityRouteRules of fluxcd/flagger pkg/router/istio.go and gateway_api.go. Flagger draws ten random
letters for the value; here they follow from the Canary and its revision, so that the same run has the same cookies.
"""

from __future__ import annotations

import hashlib
import string
from dataclasses import replace

from meshtest.rollouts.canary.spec import Canary, SessionAffinity
from meshtest.rollouts.canary.state import Routes, Status

LETTERS = string.ascii_letters
LENGTH = 10
EXPIRED = -1


def after(status: Status, canary: Canary, affinity: SessionAffinity, routes: Routes) -> Status:
    """The cookies once these routes are set: made with the first user traffic, retired when it ends."""
    if routes.canary:
        return replace(
            status,
            cookie=status.cookie or f"{affinity.cookie}={_letters(canary, status.applied)}",
            primary_cookie=status.primary_cookie or f"{affinity.primary_cookie}={_letters(canary, 'primary')}",
        )
    return replace(status, cookie="", previous_cookie=status.cookie or status.previous_cookie)


def set_cookies(status: Status, canary: Canary, affinity: SessionAffinity) -> dict[str, str]:
    """Set-Cookie by who answers: `canary`, `primary` (if it has a cookie), `previous` (taken back)."""
    found = {}
    if status.cookie:
        found["canary"] = header(status.cookie, affinity, affinity.max_age)
        if affinity.primary_cookie:  # until the next step at the latest: then the split changes
            found["primary"] = header(status.primary_cookie, affinity, int(canary.analysis.interval))
    elif status.previous_cookie:
        found["previous"] = f"{status.previous_cookie}; Max-Age={EXPIRED}"
    return found


def header(cookie: str, affinity: SessionAffinity, max_age: int) -> str:
    return "; ".join((cookie, f"Max-Age={max_age}", *affinity.attributes))


def _letters(canary: Canary, seed: str) -> str:
    digest = hashlib.sha256(f"{canary.full_name}/{seed}".encode()).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in digest[:LENGTH])
