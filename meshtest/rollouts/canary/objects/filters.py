"""`spec.service` as filters of an HTTPRoute. Rules: makeFilters of fluxcd/flagger pkg/router/gateway_api.go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from meshtest.manifests.quantities import seconds
from meshtest.rollouts.canary.objects.origin import Json, filled, mapping, mappings
from meshtest.rollouts.canary.spec import Canary

PREFIX, FULL = "ReplacePrefixMatch", "ReplaceFullPath"
CORS = {"allowOrigin": "allowOrigins", "allowMethods": "allowMethods", "allowHeaders": "allowHeaders",
        "exposeHeaders": "exposeHeaders"}  # fmt: skip
"""Lists of Istio's corsPolicy, and what Gateway API calls them; `allowOrigins`, which are patterns, get lost."""


def filters(canary: Canary, *, cors: bool) -> list[Json]:
    """`cors`: v1beta1 has no such filter, and leaves it out."""
    data = canary.service.data
    return [
        *_headers(mapping(data.get("headers"))),
        *_rewrite(data.get("rewrite")),
        *({"type": "RequestMirror", "requestMirror": one} for one in mappings(data.get("mirror"))),
        *(_cors(data.get("corsPolicy")) if cors else ()),
    ]


def response_header(name: str, value: str) -> Json:
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [{"name": name, "value": value}]}}


def _headers(headers: Json) -> Iterator[Json]:
    for side in ("request", "response"):
        if headers.get(side) is not None:
            edits = mapping(headers[side])
            found = filled(add=_sorted(edits.get("add")), set=_sorted(edits.get("set")), remove=edits.get("remove"))
            yield {"type": f"{side.capitalize()}HeaderModifier", f"{side}HeaderModifier": found}


def _sorted(edits: Any) -> list[Json]:
    return [{"name": name, "value": value} for name, value in sorted(mapping(edits).items())]


def _rewrite(rewrite: Any) -> Iterator[Json]:
    if rewrite is None:
        return
    told = mapping(rewrite)
    found = filled(hostname=told.get("authority"))
    if told.get("uri"):
        kind = PREFIX if told.get("type") == PREFIX else FULL
        found["path"] = {"type": kind, kind[0].lower() + kind[1:]: told["uri"]}
    yield {"type": "URLRewrite", "urlRewrite": found}


def _cors(policy: Any) -> Iterator[Json]:
    if policy is None:
        return
    told = mapping(policy)
    found = filled(**{new: told.get(old) for old, new in CORS.items()})
    age = seconds(str(told.get("maxAge") or "0"))
    found |= {"allowCredentials": True} if told.get("allowCredentials") else {}
    found |= {"maxAge": int(age)} if age else {}
    yield {"type": "CORS", "cors": found}
