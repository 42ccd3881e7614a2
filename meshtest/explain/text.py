"""An explanation for people: the way of the request from top to bottom, what was tried, where each thing stands."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from meshtest.explain.answer import Answer
from meshtest.explain.explanation import Applied, Considered, Explanation
from meshtest.explain.unmet import EVERY, conditions
from meshtest.lib.words import listed
from meshtest.manifests.sources import Caller
from meshtest.model.diagnostic import NOWHERE, Source
from meshtest.model.policy import TrafficPolicy
from meshtest.model.route import Match, Route


def lines(explained: Explanation) -> Iterator[str]:
    yield f"{sender(explained)}: {explained.asked}"
    if explained.host:
        yield _line("host", explained.host.name, explained.service.source if explained.service else NOWHERE)
    for _, alike in groupby(explained.considered, lambda c: (c.route.source, not c.unmet)):
        tried = list(alike)
        yield _line("not" if tried[0].unmet else "rule", _rule(tried[0]), tried[0].route.source)
        for considered in tried:
            yield _line("", f"because {considered.unmet or taken(considered.route.match)}")
    for passed in explained.passed_over:
        table = passed.table
        yield _line("not", f"{table.kind} {table.namespace}/{table.name}", table.source)
        yield _line("", f"because {passed.why}")
    if route := explained.route:
        for word, text in _extras(route):
            yield _line(word, text)
    for answer in explained.answers:
        yield _line("then", _answer(answer))
    for guard in explained.guards:
        word = "allowed" if guard.decision.allowed else "denied"
        yield _line(word, f"at {guard.who or 'the gateway'}: {guard.decision.why}", guard.decision.source)
    for applied in explained.policies:
        yield _line("policy", _policy(applied), applied.source)
    yield from statuses(explained)


def statuses(explained: Explanation) -> Iterator[str]:
    """What `kubectl get -o yaml` would show under `status`."""
    for status in explained.statuses:
        yield _line("status", str(status), status.source)


def _line(word: str, text: str, source: Source = NOWHERE) -> str:
    line = f"  {word:<8} {text}"
    return line if source is NOWHERE else f"{line:<76} {source}"


def sender(explained: Explanation) -> str:
    """Whose request it is, in words."""
    found = explained.origin
    return found.key if isinstance(found, Caller) else f"gateway {found.address or 'ingress'} port {found.port}"


def _rule(considered: Considered) -> str:
    route, table = considered.route, considered.table
    if table is None:
        return "the service's own route; nothing else names this host"
    rules = table.places
    name = f" {route.name!r}" if route.name else f" {rules.index(route.source) + 1}"
    return f"{table.kind} {table.namespace}/{table.name}, rule{name} of {len(rules)}"


def taken(match: Match) -> str:
    words = conditions(match)
    return "it takes every request" if words == EVERY else words


def _extras(route: Route) -> Iterator[tuple[str, str]]:
    if route.fault and route.fault.delay:
        yield "delay", f"{route.fault.delay.seconds:g} s for {route.fault.delay.percent:g} %"
    if route.timeout:
        yield "timeout", f"{route.timeout:g} s"
    if route.retry and route.retry.attempts:
        codes = f" {listed(map(str, route.retry.status_codes))}" if route.retry.status_codes else ""
        yield "retries", f"{route.retry.attempts} on {', '.join(route.retry.on)}{codes}"
    for mirror in route.mirrors:
        to = mirror.destination
        yield "mirror", f"{mirror.percent:g} % to {to.host}:{to.port} {to.subset}".rstrip()


def _answer(answer: Answer) -> str:
    share = f"{answer.percent:.4g} % "
    if answer.location:
        return f"{share}answered {answer.status}, Location: {answer.location}"
    if answer.status is not None:
        return f"{share}answered {answer.status} by the proxy: {answer.why}"
    to = f"{answer.service}" + (f" subset {answer.subset}" if answer.subset else "")
    pods = ", ".join(f"{w.name} ({w.version}, {w.replicas})" for w in answer.workloads) or "endpoints outside the mesh"
    seen = f"; the service sees {answer.authority}{answer.path}"
    return f"{share}to {to}: {pods}{seen}"


def _policy(applied: Applied) -> str:
    name = applied.service.partition(".")[0] + (f" subset {applied.subset}" if applied.subset else "")
    return f"{name}: {'; '.join(_blocks(applied.policy))}"


def _blocks(policy: TrafficPolicy) -> Iterator[str]:
    balancing = policy.load_balancing
    yield (balancing.algorithm if balancing else "LEAST_REQUEST").replace("_", " ").lower()
    pool = policy.connection_pool
    if pool and pool.max_connections:
        yield f"at most {pool.max_connections} connections"
    if pool and pool.http1_max_pending_requests:
        yield f"at most {pool.http1_max_pending_requests} pending"
    if outlier := policy.outlier_detection:
        yield f"ejects after {outlier.consecutive_5xx or outlier.consecutive_gateway_errors or 5} errors in a row"
    if policy.tls:
        yield f"TLS {policy.tls.mode}"
