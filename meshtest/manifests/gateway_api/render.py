"""Neutral conditions as an HTTPRoute writes them; what it has no words for is an error that says so."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from meshtest.errors import UsageError
from meshtest.model.route import HeaderMatch, Match, StringMatch

Json = dict[str, Any]


def match(found: Match) -> Json:
    """An HTTPRouteMatch."""
    if found.port or found.caller_labels or found.caller_namespace or found.gateways:
        raise UsageError("an HTTPRoute cannot ask for the caller or the port in a match; its parentRefs say that")
    out: Json = {}
    if found.path is not None:
        out["path"] = _path(found.path)
    for header in found.headers:
        _add_header(out, header)
    if found.query:
        out["queryParams"] = [_value(name, wanted) for name, wanted in found.query]
    return out


def _path(path: StringMatch) -> Json:
    if path.ignore_case or path.kind == "regex":
        return {"type": "RegularExpression", "value": _regex(path)}
    if path.kind == "exact":
        return {"type": "Exact", "value": path.value}
    if path.kind == "prefix" and not path.value.endswith("/"):
        return {"type": "RegularExpression", "value": _regex(path)}
    return {"type": "PathPrefix", "value": path.value or "/"}


def _add_header(out: Json, header: HeaderMatch) -> None:
    if header.invert:
        raise UsageError(f"an HTTPRoute cannot ask for requests without a certain {header.name}")
    if header.name == ":method" and header.match.kind == "exact":
        out["method"] = header.match.value
    elif header.name.startswith(":"):
        raise UsageError(f"an HTTPRoute cannot match {header.name}; hostnames are the route's own")
    else:
        out["headers"] = [*out.get("headers", []), _value(header.name, header.match)]


def _value(name: str, wanted: StringMatch) -> Json:
    if wanted.kind == "exact" and not wanted.ignore_case:
        return {"name": name, "value": wanted.value}
    return {"type": "RegularExpression", "name": name, "value": _regex(wanted)}


def _regex(wanted: StringMatch) -> str:
    flag = "(?i)" if wanted.ignore_case else ""
    if wanted.kind == "regex":
        return wanted.value
    if wanted.kind == "present":
        return ".*"
    if wanted.kind == "path_prefix":
        return f"{flag}{re.escape(wanted.value.rstrip('/'))}(/.*)?"
    return flag + re.escape(wanted.value) + (".*" if wanted.kind == "prefix" else "")


def both(own: Json, other: Json) -> Json | None:
    """Conditions that hold when both do; None if they cannot."""
    out = {**own}
    for key in ("path", "method"):
        wanted = other.get(key)
        if wanted is None or own.get(key) == wanted:
            continue
        if key in own and not (key == "path" and _is_everything(own[key])):
            if key == "path" and _narrower(own[key], wanted):
                continue
            if not (key == "path" and _narrower(wanted, own[key])):
                return None
        out[key] = wanted
    for key in ("headers", "queryParams"):
        merged = {one["name"].lower(): one for one in own.get(key) or ()}
        for one in other.get(key) or ():
            if merged.setdefault(one["name"].lower(), one) != one:
                return None
        if merged:
            out[key] = list(merged.values())
    return out


def _is_everything(path: Json) -> bool:
    return bool(path.get("type", "PathPrefix") == "PathPrefix" and path.get("value", "/") == "/")


def _narrower(one: Json, other: Json) -> bool:
    """Every path of the one is one of the other, a prefix."""
    if other.get("type", "PathPrefix") != "PathPrefix" or one.get("type") == "RegularExpression":
        return False
    stem, path = str(other.get("value", "/")).rstrip("/"), str(one.get("value", "/"))
    return path == stem or path.startswith(f"{stem}/")


def digest(rendered: Json | list[Json]) -> str:
    """The same name for the same match, or matches."""
    return hashlib.sha256(json.dumps(rendered, sort_keys=True).encode()).hexdigest()[:8]
