"""What `meshtest explain` foretells of a case, held against the answer that really came."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.explain import Asked, explain
from meshtest.loads.ask import Ask, Reply
from meshtest.model.topology import Topology
from tests.conformance.cases import Case
from tests.conformance.roundtrip import Answer

LOCAL_GRPC = {12: 404, 14: 503}
"""What the proxy says to a gRPC client in place of a status of HTTP."""


def surprises(topology: Topology, case: Case, answer: Answer) -> Iterator[str]:
    """How the answer differs from all that the explanation allows."""
    if case.host.startswith("127.0.0.1:"):
        return  # a pod by its own address: no route of the model counts
    asked = Asked(authority=case.host, method=case.method, path=case.path or "/", headers=case.headers)
    version, location = str(answer.seen.get("version", "")), answer.headers.get("location", "")
    yield from compared(topology, case.entrance, asked, answer.status, version, location)


def surprises_of(topology: Topology, entrance: str, what: Ask, reply: Reply) -> Iterator[str]:
    """The same for requests of other protocols; a gRPC call that no service got has a status of HTTP as well."""
    asked = Asked(
        authority=what.authority, method=what.method, path=what.path, headers=dict(what.headers),
        scheme="https" if what.tls else "http",
    )  # fmt: skip
    version = reply.server.version
    status = reply.status if version else LOCAL_GRPC.get(reply.grpc_status, reply.status)
    yield from compared(topology, entrance, asked, status, version, reply.header("location"))


def compared(
    topology: Topology, entrance: str, asked: Asked, status: int, version: str, location: str
) -> Iterator[str]:
    explained = explain(topology, entrance, asked)
    if not explained.allows(status=status, version=version, location=location):
        foretold = "; ".join(f"{a.status or a.versions} {a.location} {a.why}".strip() for a in explained.answers)
        yield f"explain: {foretold}; came: {status} {version} {location}".rstrip()
