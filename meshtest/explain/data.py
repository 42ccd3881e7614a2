"""An explanation for programs: plain values, ready for JSON."""

from __future__ import annotations

from typing import Any

from meshtest.explain.answer import Answer
from meshtest.explain.explanation import Applied, Considered, Explanation
from meshtest.explain.text import sender
from meshtest.explain.unmet import conditions
from meshtest.model.diagnostic import NOWHERE, Source


def data(explained: Explanation) -> dict[str, Any]:
    """{request, from, host, rules: [...], passed_over: [...], answers: [...], policies: [...]}."""
    return {
        "request": str(explained.asked),
        "headers": dict(explained.asked.headers),
        "from": sender(explained),
        "host": explained.host.name if explained.host else None,
        "rules": [_rule(considered) for considered in explained.considered],
        "passed_over": [
            {"name": f"{p.table.kind} {p.table.namespace}/{p.table.name}", "why": p.why, "at": _place(p.table.source)}
            for p in explained.passed_over
        ],
        "answers": [_answer(answer) for answer in explained.answers],
        "policies": [_policy(applied) for applied in explained.policies],
        "guards": [
            {
                "at": g.who or None,
                "allowed": g.decision.allowed,
                "why": g.decision.why,
                "place": _place(g.decision.source),
            }
            for g in explained.guards
        ],
        "statuses": [
            {
                "object": f"{s.kind} {s.namespace}/{s.name}",
                "part": s.part or None,
                "attached": s.attached,
                "conditions": [
                    {"type": c.type, "status": str(c.holds), "reason": c.reason, "message": c.message}
                    for c in s.conditions
                ],
            }
            for s in explained.statuses
        ],
    }


def _place(source: Source) -> str | None:
    return None if source is NOWHERE else str(source)


def _rule(considered: Considered) -> dict[str, Any]:
    table, route = considered.table, considered.route
    return {
        "table": f"{table.kind} {table.namespace}/{table.name}" if table else None,
        "name": route.name or None,
        "at": _place(route.source),
        "asks_for": conditions(route.match),
        "taken": not considered.unmet,
        "unmet": considered.unmet or None,
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "percent": answer.percent,
        "status": answer.status,
        "location": answer.location or None,
        "service": answer.service or None,
        "subset": answer.subset or None,
        "versions": list(answer.versions),
        "authority": answer.authority or None,
        "path": answer.path or None,
        "timeout": answer.timeout,
        "why": answer.why or None,
    }


def _policy(applied: Applied) -> dict[str, Any]:
    balancing = applied.policy.load_balancing
    return {
        "service": applied.service,
        "subset": applied.subset or None,
        "load_balancing": balancing.algorithm if balancing else "LEAST_REQUEST",
        "outlier_detection": applied.policy.outlier_detection is not None,
        "connection_pool": applied.policy.connection_pool is not None,
        "tls": applied.policy.tls.mode if applied.policy.tls else None,
        "at": _place(applied.source),
    }
