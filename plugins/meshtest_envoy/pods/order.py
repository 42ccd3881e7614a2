"""What the supervisor is asked to run, as it comes over the control channel.

The runner's side of the same thing, with its documentation, is spec.PodSpec; the names are the same. These are named
tuples because dataclasses would double the start-up time of the supervisor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Handler(NamedTuple):
    """As meshtest.model.service.Handler."""

    kind: str
    path: str = "/"
    port: int | str = 0
    headers: tuple[tuple[str, str], ...] = ()
    command: tuple[str, ...] = ()
    seconds: float = 0.0


class Probe(NamedTuple):
    """As meshtest.model.service.Probe."""

    handler: Handler
    initial_delay: float = 0.0
    period: float = 10.0
    timeout: float = 1.0
    success_threshold: int = 1
    failure_threshold: int = 3


class PodTls(NamedTuple):
    """As spec.PodTls: paths of PEM files."""

    certificate: str
    key: str
    client_ca: str = ""


class Order(NamedTuple):
    """One pod."""

    name: str
    log: str
    namespace: str = "default"
    workload: str = ""
    service: str = ""
    version: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    argv: tuple[str, ...] | None = None
    env: Mapping[str, str] = {}
    ports: tuple[tuple[int, str], ...] = ()
    protocols: tuple[tuple[int, str], ...] = ()
    tls: PodTls | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    startup: Probe | None = None
    pre_stop: Handler | None = None
    grace: float = 30.0
    http_proxy: str = ""
    calls: tuple[str, ...] = ()
    seed: int = 0
    collector: str = ""

    @property
    def stand_in(self) -> bool:
        """The built-in service runs; there is no command."""
        return self.argv is None


def from_wire(told: Mapping[str, Any]) -> Order:
    """JSON has lists and dicts where an Order has tuples and probes."""
    fields = dict(told)
    fields["argv"] = None if told.get("argv") is None else tuple(told["argv"])
    fields["ports"] = tuple((number, name) for number, name in told.get("ports", ()))
    fields["protocols"] = tuple((number, name) for number, name in told.get("protocols", ()))
    tls = told.get("tls")
    fields["tls"] = PodTls(**tls) if isinstance(tls, dict) else PodTls(*tls) if tls else None
    fields["calls"] = tuple(told.get("calls", ()))
    for name in ("readiness", "liveness", "startup"):
        fields[name] = _probe(told.get(name))
    fields["pre_stop"] = _handler(told.get("pre_stop"))
    return Order(**fields)


def _probe(told: Mapping[str, Any] | None) -> Probe | None:
    if told is None:
        return None
    handler = _handler(told["handler"])
    assert handler is not None
    return Probe(**{**told, "handler": handler})


def _handler(told: Mapping[str, Any] | None) -> Handler | None:
    if told is None:
        return None
    headers = tuple((name, value) for name, value in told.get("headers", ()))
    return Handler(**{**told, "headers": headers, "command": tuple(told.get("command", ()))})
