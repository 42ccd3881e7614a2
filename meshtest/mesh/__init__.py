"""The programming interface of a test: `Mesh` and what it hands out.

    Mesh              mesh.py; configured.py (what is in force, how it changes), observed.py (what can be asked of it)
    mesh["web"]       service.py; shadow.py: mirrored requests
    mesh.load(...)    load.py, view.py (what came back), decide.py; entering.py (where), engines.py (who sends)
    mesh.fault(...)   faults.py
    mesh.query(...)   promql.py, metrics.py, traces.py
    mesh.canary(...)  canary/

Imported when they are touched: `open_mesh` has the provider's processes start first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshtest.mesh.opening import new_provider as new_provider
from meshtest.mesh.opening import open_mesh as open_mesh

if TYPE_CHECKING:
    from meshtest.mesh.load import Load as Load
    from meshtest.mesh.mesh import Mesh as Mesh
    from meshtest.mesh.service import ServiceHandle as ServiceHandle
    from meshtest.mesh.service import VersionHandle as VersionHandle

_HOME = {"Load": "load", "Mesh": "mesh", "ServiceHandle": "service", "VersionHandle": "service"}

__all__ = ["Load", "Mesh", "ServiceHandle", "VersionHandle", "new_provider", "open_mesh"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(f"meshtest.mesh.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
