"""What `meshtest explain` foretells of a case, held against the answer that really came."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.explain import Asked, explain
from meshtest.model.topology import Topology
from tests.conformance.cases import Case
from tests.conformance.roundtrip import Answer


def surprises(topology: Topology, case: Case, answer: Answer) -> Iterator[str]:
    """How the answer differs from all that the explanation allows."""
    if case.host.startswith("127.0.0.1:"):
        return  # a pod by its own address: no route of the model counts
    asked = Asked(authority=case.host, method=case.method, path=case.path or "/", headers=case.headers)
    explained = explain(topology, case.entrance, asked)
    version, location = str(answer.seen.get("version", "")), answer.headers.get("location", "")
    if not explained.allows(status=answer.status, version=version, location=location):
        foretold = "; ".join(f"{a.status or a.versions} {a.location} {a.why}".strip() for a in explained.answers)
        yield f"explain: {foretold}; came: {answer.status} {version} {location}".rstrip()
