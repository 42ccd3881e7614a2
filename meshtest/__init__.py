"""meshtest: chaos and verification for service-mesh rollouts.

The public names are re-exported here, and imported only when touched: `import meshtest` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshtest.checks import about as about
    from meshtest.checks import canary as canary
    from meshtest.checks import canary_latency as canary_latency
    from meshtest.checks import fault_bit as fault_bit
    from meshtest.checks import latency as latency
    from meshtest.checks import masked as masked
    from meshtest.checks import masked_outages as masked_outages
    from meshtest.checks import mirrored as mirrored
    from meshtest.checks import no_downtime as no_downtime
    from meshtest.checks import no_hidden_errors as no_hidden_errors
    from meshtest.checks import outages as outages
    from meshtest.checks import reached as reached
    from meshtest.checks import span_duration as span_duration
    from meshtest.checks import split as split
    from meshtest.checks import split_sequential as split_sequential
    from meshtest.checks import trace_path as trace_path
    from meshtest.checks import traces_complete as traces_complete
    from meshtest.checks import traces_propagated as traces_propagated
    from meshtest.checks import trend as trend
    from meshtest.errors import ConfigRejected as ConfigRejected
    from meshtest.errors import ManifestError as ManifestError
    from meshtest.errors import MeshtestError as MeshtestError
    from meshtest.errors import ProviderError as ProviderError
    from meshtest.errors import RolloutFailed as RolloutFailed
    from meshtest.errors import UsageError as UsageError
    from meshtest.loads.ask import Reply as Reply
    from meshtest.loads.ask import TlsAsk as TlsAsk
    from meshtest.loads.shape import Burst as Burst
    from meshtest.loads.shape import Hold as Hold
    from meshtest.loads.shape import Ramp as Ramp
    from meshtest.loads.shape import steps as steps
    from meshtest.loads.target import Target as Target
    from meshtest.mesh import Mesh as Mesh
    from meshtest.mesh import open_mesh as open_mesh
    from meshtest.model.series import NO_DATA as NO_DATA
    from meshtest.model.verdict import Outcome as Outcome
    from meshtest.settings import Settings as Settings

_CHECKS = (
    "about", "canary", "canary_latency", "fault_bit", "latency", "masked", "masked_outages", "mirrored", "no_downtime",
    "no_hidden_errors", "outages", "reached", "span_duration", "split", "split_sequential", "trace_path",
    "traces_complete", "traces_propagated", "trend",
)  # fmt: skip
_HOME = {
    "Mesh": "mesh",
    "open_mesh": "mesh",
    "Reply": "loads.ask",
    "TlsAsk": "loads.ask",
    "Target": "loads.target",
    **dict.fromkeys(("Burst", "Hold", "Ramp", "steps"), "loads.shape"),
    "Settings": "settings",
    "NO_DATA": "model.series",
    "Outcome": "model.verdict",
    **dict.fromkeys(_CHECKS, "checks"),
    **dict.fromkeys(
        ("ConfigRejected", "ManifestError", "MeshtestError", "ProviderError", "RolloutFailed", "UsageError"), "errors"
    ),
}
"""Public name to the module it lives in."""

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        import importlib

        return getattr(importlib.import_module(f"meshtest.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
