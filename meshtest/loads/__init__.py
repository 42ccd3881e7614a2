"""Load on the mesh: the open-loop prober, in a process of its own, and the handle that the runner holds."""

from __future__ import annotations

from meshtest.loads.load import Load
from meshtest.loads.spec import LoadSpec
from meshtest.spi.load import Summary

__all__ = ["Load", "LoadSpec", "Summary"]
