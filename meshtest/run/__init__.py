"""One scenario's life: clock, history, undo stack, run folder, verdict."""

from __future__ import annotations

from meshtest.run.run import Run
from meshtest.run.stored import StoredRun, judge_again, open_run, unfinished

__all__ = ["Run", "StoredRun", "judge_again", "open_run", "unfinished"]
