"""What a mesh that is up can be told to do: the server's side of shift, fault, load, query and explain."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshtest.errors import UsageError

if TYPE_CHECKING:
    from meshtest.mesh import Load, Mesh

Answers = Iterator[dict[str, Any]]

_FAULTS: dict[str, contextlib.ExitStack] = {}
"""Faults in force, by target."""


def perform(mesh: Mesh, busy: threading.Lock, do: str, arguments: Mapping[str, Any]) -> Answers:
    """Changes come one at a time; loads and questions run beside them."""
    acts: dict[str, Callable[..., Answers]] = {"shift": shift, "fault": fault, "explain": explain}
    beside: dict[str, Callable[..., Answers]] = {"load": load, "journeys": journeys, "query": query}
    if do in beside:
        yield from beside[do](mesh, **arguments)
        return
    if do not in acts:
        raise UsageError(f"a mesh that is up does not know {do!r}")
    with busy:
        yield from acts[do](mesh, **arguments)


def shift(mesh: Mesh, service: str, weights: Mapping[str, int], rule: str = "") -> Answers:
    handle = mesh[service]
    handle.shift(dict(weights), rule=rule)
    acked = mesh.run.history().of("config.ack")[-1]
    yield {"service": service, "shares": dict(handle.shares), "seconds": acked.data["seconds"]}


def fault(
    mesh: Mesh,
    target: str,
    off: bool = False,
    delay: str | None = None,
    abort: int | None = None,
    percent: float = 100.0,
    headers: Mapping[str, str] | None = None,
) -> Answers:
    if off:
        if target not in _FAULTS:
            raise UsageError(f"no fault is in force for {target!r}; there are: {', '.join(_FAULTS) or 'none'}")
        _FAULTS.pop(target).close()
        evidence = mesh.run.history().of("fault.end")[-1].data["evidence"]
        yield {"target": target, "off": True, "evidence": evidence}
        return
    if target in _FAULTS:
        raise UsageError(f"{target!r} has a fault already; end it first: meshtest fault {target} --off")
    stack = contextlib.ExitStack()
    injection = stack.enter_context(mesh.fault(target, delay=delay, abort=abort, percent=percent, headers=headers))
    _FAULTS[target] = stack
    yield {"target": target, "off": False, "fault": injection.describe()}


def load(
    mesh: Mesh,
    request: str | Sequence[str] = (),
    weights: str = "",
    shape: Sequence[str] = (),
    headers: Sequence[str] = (),
    body: str = "",
    protocol: Any = "",
    seconds: float | None = None,
    **more: Any,
) -> Answers:
    """A line about twice a second, then the summary."""
    from meshtest.loads.shape import length, parse_stage
    from meshtest.loads.target import parse_targets

    targets = parse_targets(request, weights, headers=headers, body=body, protocol=protocol)
    stages = [parse_stage(stage) for stage in shape]
    if stages and length(stages[-1]) is None and not more.get("requests"):
        seconds = seconds or sum(length(stage) or 0.0 for stage in stages) + 10.0
    yield from _watched(mesh, mesh.load(targets, shape=stages, seconds=seconds, **more))


def journeys(mesh: Mesh, request: Any = "", **options: Any) -> Answers:
    """The same of Locust's users; a request beside them is refused."""
    yield from _watched(mesh, mesh.load(request, **options))


def _watched(mesh: Mesh, load: Load) -> Answers:
    from meshtest.run.pulse import Pulse

    with load as running:
        yield {"load": running.name, "started": True}
        pulse = Pulse(mesh.run.directory, running.name)
        while running.sending:
            running.wait_end(within=0.5)
            yield pulse.look()._asdict()
    view = running.all
    times = {"p50": view.p50(), "p99": view.p99()} if view.versions else {}
    saturated = {"saturated": running.summary.saturated} if running.summary and running.summary.saturated else {}
    counts = {"requests": len(view), "failed": len(view.failures), "versions": _counts(view)}
    yield {"done": True, **counts, **times, **saturated}


def explain(mesh: Mesh, **request: Any) -> Answers:
    from meshtest.cli.explaining import answered

    yield answered(mesh, **request)


def query(mesh: Mesh, promql: str, at: float | None = None, steps: Sequence[float] | None = None) -> Answers:
    from meshtest.cli.query import as_data

    yield as_data(mesh.query_range(promql, *steps) if steps else mesh.query(promql, at=at))


def _counts(view: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for request in view.requests:
        name = f"{request.server.service}/{request.version}" if request.version else "(unknown)"
        counts[name] = counts.get(name, 0) + 1
    return counts
