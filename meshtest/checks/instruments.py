"""Which loads can show that nothing happened: those that send whatever became of the requests before, and hide nothing.

Users of a closed loop (Locust, k6) wait for an answer and fall silent exactly while the service is down; a client that
resends a request which was reset (Go's, on a connection used again) reports the second try. What such a load saw fail
has failed; what it did not see proves nothing.
"""

from __future__ import annotations

from meshtest.model.history import History


def blind(history: History) -> dict[str, str]:
    """Loads that are no evidence of absence, and their engines."""
    starts = [e.data for e in history.of("load.start")]
    return {s["load"]: str(s["engine"]) for s in starts if False in (s.get("open_loop"), s.get("honest"))}
