"""Matches and faults as VirtualService writes them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from meshtest.errors import UsageError
from meshtest.manifests.quantities import duration
from meshtest.model.route import Fault, HeaderMatch, Match, StringMatch

Json = dict[str, Any]

PSEUDO = {":method": "method", ":authority": "authority", ":scheme": "scheme"}


def match(found: Match) -> Json:
    """An HTTPMatchRequest."""
    out: Json = {}
    if found.path is not None:
        out |= _uri(found.path)
    for header in found.headers:
        _add_header(out, header)
    if found.query:
        out["queryParams"] = {name: string_match(wanted) for name, wanted in found.query}
    given = {
        "port": found.port,
        "sourceLabels": dict(found.caller_labels),
        "sourceNamespace": found.caller_namespace,
        "gateways": list(found.gateways),
    }
    return out | {key: value for key, value in given.items() if value}


def _uri(path: StringMatch) -> Json:
    if path.kind == "path_prefix":
        stem = re.escape(path.value.rstrip("/"))
        flag = "(?i)" if path.ignore_case else ""
        return {"uri": {"regex": f"{flag}{stem}(/.*)?"}}
    if path.kind == "present":
        return {}
    return {"uri": {path.kind: path.value}, **({"ignoreUriCase": True} if path.ignore_case else {})}


def _add_header(out: Json, header: HeaderMatch) -> None:
    pseudo = PSEUDO.get(header.name)
    if pseudo and header.invert:
        raise UsageError(f"a VirtualService cannot ask for requests without a certain {header.name}")
    if pseudo:
        out[pseudo] = string_match(header.match)
    else:
        key = "withoutHeaders" if header.invert else "headers"
        out[key] = {**out.get(key, {}), header.name: string_match(header.match)}


def string_match(wanted: StringMatch) -> Json:
    if wanted.kind == "present":
        return {}
    if not wanted.ignore_case or wanted.kind == "regex":
        return {"prefix" if wanted.kind == "path_prefix" else wanted.kind: wanted.value}
    rest = "" if wanted.kind == "exact" else ".*"
    return {"regex": f"(?i){re.escape(wanted.value)}{rest}"}


def fault(found: Fault) -> Json:
    """An HTTPFaultInjection."""
    if found.headers:
        raise UsageError("`headers` of a fault scope it at the destination; on a route, give a match")
    out: Json = {}
    if found.delay:
        out["delay"] = {"fixedDelay": duration(found.delay.seconds), "percentage": {"value": found.delay.percent}}
    if found.abort:
        # A gRPC status is text in the API, by name or number.
        grpc = {"grpcStatus": str(found.abort.grpc_status)}
        http = {"httpStatus": found.abort.http_status}
        status = http if found.abort.grpc_status is None else grpc
        out["abort"] = {**status, "percentage": {"value": found.abort.percent}}
    if not out:
        raise UsageError("a fault needs a delay or an abort")
    return out


def digest(rendered: Json) -> str:
    """A short name for a match, so that the same match is found again."""
    return hashlib.sha256(json.dumps(rendered, sort_keys=True).encode()).hexdigest()[:8]


def both(one: Json, other: Json) -> Json | None:
    """A match that asks for both; None when no path can satisfy them."""
    merged = {key: value for key, value in one.items() if key != "name"} | other
    if "uri" in one and "uri" in other:
        narrower = _narrower(one["uri"], other["uri"])
        if narrower is None:
            return None
        merged["uri"] = narrower
    for key in ("headers", "withoutHeaders", "queryParams", "sourceLabels"):
        if key in one and key in other:
            merged[key] = {**one[key], **other[key]}
    return merged


def _narrower(one: Json, other: Json) -> Json | None:
    """Of two path conditions the one inside the other; of a regular expression, `other` is taken on trust."""
    if "regex" in one or "regex" in other:
        return other
    for outer, inner in ((one, other), (other, one)):
        value = str(inner.get("exact", inner.get("prefix", "")))
        if "prefix" in outer and value.startswith(str(outer["prefix"])):
            return inner
    return other if one == other else None
