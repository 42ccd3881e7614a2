"""The attributes that rules are about, and what their values may be (istio pkg/config/security/security.go)."""

from __future__ import annotations

import ipaddress
import re

from meshtest.lib.words import nearest
from meshtest.manifests.view import View

PEER = ("source.namespace", "source.principal", "source.serviceAccount", "source.trustDomain")
"""What is known of a caller by its certificate only."""
ADDRESSES = ("source.ip", "remote.ip", "destination.ip")

WHOLE = (
    *PEER,
    *ADDRESSES,
    "request.auth.principal",
    "request.auth.audiences",
    "request.auth.presenter",
    "destination.port",
    "connection.sni",
)
BRACKETED = ("request.headers", "request.auth.claims", "experimental.envoy.filters.")
"""Followed by a name in brackets."""

UNSUPPORTED_TEMPLATE = re.compile(r"/\{\w+=\*\*?\}|\{\w*\}|/\*\*?|\*\*?/")
"""Named variables, empty braces, and bare wildcards, in a path that has `{*}` or `{**}` (unsupportedPathTempRegex)."""

OPERATORS = ("{*}", "{**}")
MOST_OPERATORS = 5
LITERAL = re.compile(r"[A-Za-z0-9\-._~%!$&'()+,;:@=]+")
"""What a segment of a template may consist of (Envoy)."""

GONE = {
    "destination.namespace": "is replaced by the metadata.namespace",
    "destination.labels": "is replaced by the workload selector",
    "destination.name": "is deprecated: only supported in v1alpha1",
    "destination.user": "is deprecated: only supported in v1alpha1",
}


def known(view: View, key: str) -> bool:
    """A key of `when`; complains if there is none like it."""
    if key in WHOLE:
        return True
    if prefix := next((p for p in BRACKETED if key.startswith(p)), ""):
        if not key.endswith("]") or not 0 < key.find("[") < len(key) - 2:
            view.error("bad-value", f"{view.name('key')}: bad key ({key}): should have format a[b]", "key")
            return False
        return bool(prefix)
    for gone, why in GONE.items():
        if key == gone or key.startswith(f"{gone}["):
            view.error("bad-value", f"{view.name('key')}: attribute {key} {why}", "key")
            return False
    close = nearest(key, [*WHOLE, "request.headers[name]", "request.auth.claims[name]"])
    hint = f"; did you mean `{close}`?" if close else ""
    view.error("bad-value", f"{view.name('key')}: unknown attribute: {key}{hint}", "key")
    return False


def check(view: View, field: str, key: str) -> None:
    """The values of one attribute."""
    for index, value in enumerate(view.strings(field)):
        if problem := _problem(key, value):
            view.error("bad-value", f"{view.name(field, index)}: {problem}", field, index)


def _problem(key: str, value: str) -> str:
    if not value:
        return "empty value not allowed"
    if key in ADDRESSES:
        return _address(value)
    if key == "destination.port" and not (value.isdecimal() and int(value) <= 65535):
        return f"bad port ({value}): must be a number up to 65535"
    if key == "request.path" and is_template(value):
        return _template(value)
    if key == "source.serviceAccount":
        return _service_account(value)
    return ""


def _address(value: str) -> str:
    try:
        # as Go's netip: a prefix may have host bits set
        ipaddress.ip_interface(value) if "/" in value else ipaddress.ip_address(value)
    except ValueError as error:
        return f"bad CIDR range ({value}): {error}" if "/" in value else f"bad IP address ({value})"
    return ""


def is_template(path: str) -> bool:
    return "{*}" in path or "{**}" in path


def _template(path: str) -> str:
    """Stricter than Istio's check, as strict as Envoy's parser (uri_template_internal.cc): Envoy 1.40 aborts on a
    template in an RBAC rule that this parser refuses, in place of a NACK."""
    bad = "invalid or unsupported path template"
    if UNSUPPORTED_TEMPLATE.search(path):
        return f"{bad}: only `{{*}}` and `{{**}}` are allowed"
    if not path.startswith("/"):
        return f"{bad}: it must start with a slash"
    segments = path.removesuffix("/").split("/")[1:]
    operators = [segment for segment in segments if segment in OPERATORS]
    for segment in segments:
        if segment not in OPERATORS and not LITERAL.fullmatch(segment):
            return f"{bad}: {segment!r} must be `{{*}}`, `{{**}}`, or a plain path segment"
    if "{**}" in operators[:-1]:
        return f"{bad}: `{{**}}` may stand once, as the last operator"
    return f"{bad}: at most {MOST_OPERATORS} operators" if len(operators) > MOST_OPERATORS else ""


def _service_account(value: str) -> str:
    if "*" in value:
        return f"wildcard not allowed in serviceAccounts ({value})"
    if value.count("/") > 1 or value.startswith("/") or value.endswith("/"):
        return f"expected format 'namespace/serviceAccount' or 'serviceAccount', not {value!r}"
    return ""
