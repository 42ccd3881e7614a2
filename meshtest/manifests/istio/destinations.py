"""Where rules lead and in which shares: what http, tls and tcp rules of a VirtualService write alike."""

from __future__ import annotations

from meshtest.manifests.istio import names
from meshtest.manifests.view import View
from meshtest.model.route import Destination


def weights(rule: View, entries: list[View]) -> list[int]:
    """A single destination gets all; of several, those without a weight get none (Istio)."""
    if len(entries) == 1:
        entries[0].integer("weight", least=0)
        return [1]
    errors = len(rule.notes)
    found = [entry.integer("weight", least=0) or 0 for entry in entries]
    if entries and not any(found) and len(rule.notes) == errors:
        text = f"the weights of {rule.name('route')} sum to 0, so no request could go anywhere"
        rule.error("bad-weights", text, "route")
    return found


def target(view: View, key: str) -> Destination | None:
    """A destination as written; port 0 until links.py knows the service."""
    below = view.child(key)
    if below is None:
        view.require(key)
        return None
    if not below.require("host"):
        return None
    port = below.child("port")
    return Destination(
        host=names.fqdn(below.string("host"), view.document.namespace),
        port=(port.port("number") or 0) if port else 0,
        subset=below.string("subset"),
        source=below.source(),
    )


def entries(rule: View) -> list[View]:
    found = rule.children("route")
    if "route" in rule and not found:
        rule.error("missing-field", f"{rule.name('route')} needs at least one destination", "route")
    return found
