"""What an http rule does beside choosing a destination: fault, retry, rewrite, redirect, headers, CORS."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from http import HTTPStatus

from meshtest.manifests.istio.match import string_match
from meshtest.manifests.view import View
from meshtest.model.route import (
    Abort,
    Cors,
    Delay,
    DirectResponse,
    Fault,
    HeaderEdits,
    Redirect,
    Retry,
    Rewrite,
    StringMatch,
)

RETRY = Retry(
    attempts=2, on=("connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes")
)
"""Istio's built-in policy, without status codes since 1.24 (istio/istio#50506)."""

GRPC_CODES = {
    "OK": 0, "CANCELLED": 1, "UNKNOWN": 2, "INVALID_ARGUMENT": 3, "DEADLINE_EXCEEDED": 4, "NOT_FOUND": 5,
    "ALREADY_EXISTS": 6, "PERMISSION_DENIED": 7, "RESOURCE_EXHAUSTED": 8, "FAILED_PRECONDITION": 9, "ABORTED": 10,
    "OUT_OF_RANGE": 11, "UNIMPLEMENTED": 12, "INTERNAL": 13, "UNAVAILABLE": 14, "DATA_LOSS": 15, "UNAUTHENTICATED": 16,
}  # fmt: skip

REDIRECTS = (301, 302, 303, 307, 308)
STATUSES = frozenset(int(status) for status in HTTPStatus)


def retry(view: View | None) -> Retry | None:
    """Unset is Istio's default; attempts 0 turns retries off."""
    if view is None:
        return RETRY
    attempts = view.integer("attempts", least=0) or 0
    on, codes = _retry_on(view.string("retryOn"))
    other_host = view.boolean("retryIgnorePreviousHosts")
    policy = replace(
        RETRY,
        attempts=attempts,
        on=on or RETRY.on,
        status_codes=codes,
        per_try_timeout=view.duration("perTryTimeout") or None,
        backoff=view.duration("backoff"),
        other_host=True if other_host is None else other_host,
        other_localities=bool(view.boolean("retryRemoteLocalities")),
    )
    return policy if attempts else None


def _retry_on(text: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """`503,reset` -> (("reset", "retriable-status-codes"), (503,))"""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    codes = tuple(int(part) for part in parts if part.isdigit() and int(part) in STATUSES)
    terms = [part for part in parts if not (part.isdigit() and int(part) in codes)]
    if codes and "retriable-status-codes" not in terms:
        terms.append("retriable-status-codes")
    return tuple(terms), codes


def percentage(view: View, key: str) -> float | None:
    """`{value: 12.5}`; an empty one is 0."""
    below = view.child(key)
    return None if below is None else below.number("value", least=0, most=100) or 0.0


def fault(view: View | None) -> Fault | None:
    if view is None:
        return None
    delay, abort = view.child("delay"), view.child("abort")
    found = Fault(
        delay=_delay(delay) if delay else None,
        abort=_abort(abort) if abort else None,
        source=view.source(),
    )
    return found if found.delay or found.abort else None


def _delay(view: View) -> Delay | None:
    whole, percent = view.integer("percent", least=0, most=100), percentage(view, "percentage")
    percent = whole if percent is None else percent
    seconds = view.duration("fixedDelay")
    if "exponentialDelay" not in view and not view.require("fixedDelay"):
        return None
    return Delay(seconds=seconds, percent=percent) if _bites(view, percent) and percent and seconds else None


def _abort(view: View) -> Abort | None:
    percent = percentage(view, "percentage")
    http, grpc = view.integer("httpStatus", least=200, most=599), _grpc_status(view)
    if "httpStatus" not in view and "grpcStatus" not in view and "http2Error" not in view:
        view.error("missing-field", f"{view.name()} needs httpStatus or grpcStatus")
    if http is None and grpc is None:
        return None
    return Abort(http_status=http, grpc_status=grpc, percent=percent) if _bites(view, percent) and percent else None


def _bites(view: View, percent: float | None) -> bool:
    """Istio injects nothing without a percentage: told, because it looks like a fault."""
    if percent is None:
        text = f"{view.name()} has no `percentage`, so nothing is injected (Istio: absent means 0)"
        view.warn("fault-without-percentage", text)
    return percent is not None


def _grpc_status(view: View) -> int | None:
    text = view.string("grpcStatus").upper()
    if not text:
        return None
    if text in GRPC_CODES:
        return GRPC_CODES[text]
    if text.isdigit() and int(text) < len(GRPC_CODES):
        return int(text)
    view.error("bad-value", f"{view.name('grpcStatus')}: {text!r} is no gRPC status", "grpcStatus")
    return None


def rewrite(view: View | None, authority: str) -> Rewrite | None:
    """`authority` comes from a `host` header edit; the rewrite's own wins."""
    if view is None:
        return Rewrite(authority=authority) if authority else None
    regex, uri = view.child("uriRegexRewrite"), view.string("uri")
    if regex and uri:
        view.error("bad-value", f"{view.name()} takes one of uri, uriRegexRewrite; it has both")
    return Rewrite(
        authority=view.string("authority") or authority,
        prefix="" if regex else uri,
        regex=(regex.regex("match"), regex.string("rewrite")) if regex else None,
    )


def redirect(view: View | None) -> Redirect | None:
    if view is None:
        return None
    code = view.integer("redirectCode") or 301
    if code not in REDIRECTS:
        view.error("bad-value", f"{view.name('redirectCode')} must be one of {REDIRECTS}, not {code}", "redirectCode")
    port = view.port("port")
    if view.choice("derivePort", ("FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"), "") == "FROM_REQUEST_PORT":
        port = 0
    return Redirect(
        status=code,
        scheme=view.string("scheme"),
        authority=view.string("authority"),
        port=port,
        path=view.string("uri"),
        prefix=view.string("prefixRewrite"),
    )


def direct_response(view: View | None) -> DirectResponse | None:
    if view is None:
        return None
    view.require("status")
    status = view.integer("status", least=200, most=599)
    body = view.child("body")
    return DirectResponse(status=status or 200, body=_body(body) if body else "")


def _body(view: View) -> str:
    encoded = view.string("bytes")
    if not encoded:
        return view.text("string")
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        view.error("bad-value", f"{view.name('bytes')} must be UTF-8 text in base64", "bytes")
        return ""


def header_edits(view: View | None) -> tuple[HeaderEdits, HeaderEdits, str]:
    """(request, response, the new authority or "")."""
    request = view.child("request") if view else None
    response = view.child("response") if view else None
    authority = _authority(request, "set") or _authority(request, "add") if request else ""
    return _edits(request), _edits(response), authority


def _authority(view: View, key: str) -> str:
    headers = view.header_map(key)
    return next((value for name, value in headers.items() if name.lower() in ("host", ":authority")), "")


def _edits(view: View | None) -> HeaderEdits:
    if view is None:
        return HeaderEdits()
    return HeaderEdits(
        set=_editable(view.header_map("set")),
        add=_editable(view.header_map("add")),
        remove=tuple(name for name in view.strings("remove") if _is_editable(name)),
    )


def _editable(headers: dict[str, str]) -> dict[str, str]:
    return {name: headers[name] for name in sorted(headers) if _is_editable(name)}


def _is_editable(name: str) -> bool:
    return not name.startswith(":") and name.lower() != "host"


def cors(view: View | None) -> Cors | None:
    if view is None:
        return None
    origins = tuple(string_match(m) for m in view.children("allowOrigins"))
    exact = tuple(StringMatch(kind="exact", value=o) for o in view.strings("allowOrigin"))
    preflights = view.choice("unmatchedPreflights", ("UNSPECIFIED", "FORWARD", "IGNORE"), "UNSPECIFIED")
    return Cors(
        origins=origins or exact,
        methods=view.strings("allowMethods"),
        headers=view.strings("allowHeaders"),
        expose_headers=view.strings("exposeHeaders"),
        max_age=view.duration("maxAge"),
        credentials=view.boolean("allowCredentials"),
        forward_unmatched_preflights=preflights != "IGNORE",
    )
