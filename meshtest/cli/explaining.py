"""An explanation as a command, or a mesh that is up, answers it: lines for people, data for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from meshtest.explain import Explanation
    from meshtest.mesh import Mesh
    from meshtest.model.status import Status
    from meshtest.model.topology import Topology


def answered(mesh: Mesh, *, send: bool = False, **request: Any) -> dict[str, Any]:
    """{lines: for people, data: for programs}, of a mesh that is up."""
    return sent(mesh, **request) if send else told_of(explained_of(mesh.topology, mesh.statuses, **request))


def sent(mesh: Mesh, **request: Any) -> dict[str, Any]:
    """The explanation, and whether the mesh does what it says."""
    explained = explained_of(mesh.topology, mesh.statuses, **request)
    asked = explained.asked
    reply = mesh.ask(str(asked), source=request["caller"], headers=asked.headers)
    version, location = reply.server.version, reply.header("location")
    differs = not explained.allows(status=reply.status, version=version, location=location)
    seen = f"{reply.status or reply.fate}" + (f" by {reply.server.service} {version}" if version else "")
    verdict = "NOT as foretold" if differs else "as foretold"
    told = told_of(explained)
    told["lines"].append(f"  {'sent':<8} {seen}{f', Location: {location}' if location else ''}: {verdict}")
    told["data"] |= {"sent": {"status": reply.status, "fate": reply.fate, "version": version}, "differs": differs}
    return told


def explained_of(
    topology: Topology, statuses: Iterable[Status], *, caller: str, host: str, method: str, path: str,
    headers: Mapping[str, str],
) -> Explanation:  # fmt: skip
    from meshtest.explain import Asked, explain

    return explain(topology, caller, Asked.of(host, method, path, headers), statuses)


def told_of(explained: Explanation) -> dict[str, Any]:
    from meshtest.explain.data import data
    from meshtest.explain.text import lines

    return {"lines": list(lines(explained)), "data": data(explained)}
