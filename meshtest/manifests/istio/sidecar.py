"""Sidecar: which hosts the proxies of a namespace, or of some workloads in it, know at all.

Meaning: Istio's pilot/pkg/model/sidecar.go. Not here: what a scope does to one caller (manifests/scopes.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.istio import names
from meshtest.manifests.istio.registry_fields import SIDECAR
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.visibility import Egress, Import, Scope


@per_document
def sidecar(document: Document, notes: list[Diagnostic]) -> Scope | None:
    view = View.of(document, SIDECAR, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    selector = spec.child("workloadSelector")
    labels = selector.string_map("labels") if selector else {}
    root = document.namespace == names.ROOT_NAMESPACE
    if root and labels:
        text = "a Sidecar of the root namespace with a workloadSelector counts for that namespace only (Istio)"
        spec.warn("odd-selector", text, "workloadSelector")
    _check_policy(spec)
    return Scope(
        name=document.name,
        namespace=document.namespace,
        everywhere=root and not labels,
        selector=labels,
        egress=tuple(_egress(spec, document.namespace)),
        created=names.age(document)[0],
        source=document.where(),
    )


def _check_policy(spec: View) -> None:
    policy = spec.child("outboundTrafficPolicy")
    if policy is None:
        return
    # Istio's zero value is REGISTRY_ONLY: an empty block asks for it.
    mode = policy.choice("mode", ("REGISTRY_ONLY", "ALLOW_ANY"), "REGISTRY_ONLY")
    if mode == "ALLOW_ANY":
        policy.not_supported("nothing leaves this machine, so unknown hosts are answered with 502", "mode")


def _egress(spec: View, namespace: str) -> Iterator[Egress]:
    views = spec.children("egress")
    for view in views:
        port = view.child("port")
        number = port.port("number") if port else None
        if port is None and view is not views[-1]:
            text = f"{view.name()} has no port, so it takes all of them: it must be the last (Istio)"
            view.error("bad-value", text)
        if view.require("hosts") and not view.strings("hosts"):
            view.error("missing-field", f"{view.name('hosts')} needs at least one NAMESPACE/HOST", "hosts")
        imports = list(_imports(view, namespace))
        yield Egress(
            port=number,
            hosts=tuple(found for excluded, found in imports if not excluded),
            excluded=tuple(found for excluded, found in imports if excluded),
        )


def _imports(view: View, own: str) -> Iterator[tuple[bool, Import]]:
    """`namespace/host`; `.` is the own namespace, `~namespace` or `~` leaves out."""
    for index, text in enumerate(view.strings("hosts")):
        namespace, slash, host = text.partition("/")
        excluded = namespace.startswith("~") and text != "~/*"
        if not slash or not host or "/" in host:
            where = view.name("hosts", index)
            view.error("bad-value", f"{where} must be NAMESPACE/HOST, as `./*` or `*/*`, not {text!r}", "hosts", index)
        elif text != "~/*":
            namespace = namespace.removeprefix("~") or "*"
            yield excluded, Import(namespace=own if namespace == "." else namespace, host=host)
