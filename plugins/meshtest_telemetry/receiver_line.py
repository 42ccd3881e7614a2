"""A span as it was told, and its line in `spans.jsonl` (model/span.py).

Who tells is worked out here: a proxy's span carries `component: proxy`, and says in a tag of ours, or in Istio's, for
which workload it speaks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from meshtest.spi.telemetry import DIRECTION_TAG, PROXY_TAG

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode

SERVICE, VERSION, POD = "service.name", "service.version", "k8s.pod.name"


class Resource(NamedTuple):
    """Who tells of spans, worked out once for all spans of a message."""

    service: str
    version: str
    pod: str
    rest: Mapping[str, Any]

    @classmethod
    def of(cls, attributes: dict[str, Any]) -> Resource:
        service, version, pod = (str(attributes.pop(name, "")) for name in (SERVICE, VERSION, POD))
        return cls(service, version, pod, attributes)


def line(
    resource: Resource,
    *,
    trace: str,
    id: str,
    parent: str,
    name: str,
    start: int,
    end: int,
    kind: str = "internal",
    status: str = "",
    text: str = "",
    attributes: dict[str, Any],
    events: Sequence[Mapping[str, Any]] = (),
    links: Sequence[Mapping[str, Any]] = (),
) -> bytes:
    """Times are nanoseconds of the wall clock. What is at its default is left out."""
    service, version, pod, source = resource.service, resource.version, resource.pod, "service"
    if attributes.get("component") == "proxy":
        service, version, pod = _proxy(attributes, service)
        source = "proxy"
    told: dict[str, Any] = {
        "trace": trace, "id": id, "parent": parent, "service": service, "name": name, "start": start, "end": end,
        "kind": kind, "source": source,
    }  # fmt: skip
    optional = (
        ("status", status), ("version", version), ("pod", pod), ("text", text), ("attributes", attributes),
        ("resource", resource.rest), ("events", events), ("links", links),
    )  # fmt: skip
    for field, value in optional:
        if value:
            told[field] = value
    return _encode(told).encode("utf-8", "replace") + b"\n"


def _proxy(attributes: dict[str, Any], service: str) -> tuple[str, str, str]:
    """Service, version and pod of a proxy's span. The tags that Istio sets are filled in from ours, which is one for
    all of them: each tag costs the start of a listener 40 us."""
    own = attributes.pop(PROXY_TAG, None)
    if not isinstance(own, str):
        name, namespace = attributes.get("istio.canonical_service"), attributes.get("istio.namespace")
        revision = str(attributes.get("istio.canonical_revision", ""))
        return f"{name}.{namespace}" if name and namespace else service, "" if revision == "latest" else revision, ""
    service, version, pod, direction = [*own.split("/"), "", "", ""][:4]
    name, _, namespace = service.rpartition(".")
    attributes["istio.canonical_service"] = name
    attributes["istio.canonical_revision"] = version or "latest"
    attributes["istio.namespace"] = namespace
    attributes["istio.mesh_id"] = "cluster.local"
    attributes[DIRECTION_TAG] = direction
    return service, version, pod
