"""Whether a cluster would take the name of an object, as the Kubernetes API server checks it (RFC 1123).

Not here: names inside of `spec`, and names of RBAC's kinds, which allow more (`system:node`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(rf"{LABEL.pattern}(\.{LABEL.pattern})*")


LABELS = frozenset({"/Service", "/Namespace"})
"""Kinds whose names become one part of a DNS name."""

FREE = "rbac.authorization.k8s.io/"


def check(document: Document) -> Iterator[Diagnostic]:
    """An error for a name that is no subdomain, and for a namespace that is no label."""
    if not document.kind.startswith(FREE):
        yield from _check(document, "name", label=document.kind in LABELS)
    yield from _check(document, "namespace", label=True)


def _check(document: Document, field: str, *, label: bool) -> Iterator[Diagnostic]:
    value = document.metadata.get(field)
    pattern, most, more = (LABEL, 63, "") if label else (SUBDOMAIN, 253, " and `.`")
    if value and not (len(value) <= most and pattern.fullmatch(value)):
        allowed = f"lower-case letters, digits, `-`{more}, at most {most} characters, a letter or digit at both ends"
        text = f"`metadata.{field}` is {value!r}; allowed: {allowed}"
        yield Diagnostic(Severity.ERROR, "bad-value", text, document.where("metadata", field))
