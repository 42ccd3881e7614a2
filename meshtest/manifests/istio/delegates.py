"""VirtualServices whose rules other VirtualServices hold: the merge of Istio's pilot/pkg/model/virtualservice.go.

A delegate's match must lie inside one of the root's, else the rule is left out; what it does not say, the root says.
Not here: what one rule means (virtual_service.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from meshtest.lib.words import listed, nearest
from meshtest.manifests.istio import names
from meshtest.manifests.istio.fields import VIRTUAL_SERVICE
from meshtest.manifests.istio.virtual_service import delegating, matches_of, named, rule_of, table_of
from meshtest.manifests.memo import Parsed
from meshtest.manifests.view import View
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document
from meshtest.model.route import HeaderMatch, Match, Route, RouteTable, StringMatch

Key = tuple[str, str]
"""Namespace and name of a VirtualService."""


def resolve(
    parsed: Sequence[tuple[Document, Parsed[RouteTable | None]]],
) -> tuple[list[tuple[Document, RouteTable]], list[Diagnostic]]:
    """Every table with the routes of its delegates, and what is wrong between documents."""
    documents = {(d.namespace, d.name): d for d, _ in parsed}
    known = {note for _, p in parsed for note in p.notes}
    tables: list[tuple[Document, RouteTable]] = []
    notes: list[Diagnostic] = []
    used: set[Key] = set()
    for document, own in parsed:
        if own.value is None:
            continue
        table = own.value
        if delegating(document):
            merger = _Merger(documents, document)
            table = merger.table()
            used |= merger.used
            notes += [note for note in merger.notes if note not in known]
        tables.append((document, table))
    return tables, notes + [_unused(d) for key, d in documents.items() if _is_delegate(d) and key not in used]


def _is_delegate(document: Document) -> bool:
    spec = document.data.get("spec")
    return isinstance(spec, dict) and not spec.get("hosts")


def _unused(document: Document) -> Diagnostic:
    text = (
        f"VirtualService `{document.name}` has no hosts, and no other VirtualService delegates to it: it does nothing"
    )
    return Diagnostic(Severity.WARNING, "unused-delegate", text, document.where())


class _Merger:
    """One root with its delegates."""

    def __init__(self, documents: Mapping[Key, Document], root: Document) -> None:
        self.documents, self.root = documents, root
        self.notes: list[Diagnostic] = []
        self.used: set[Key] = set()

    def table(self) -> RouteTable:
        spec = View.of(self.root, VIRTUAL_SERVICE, self.notes).child("spec")
        assert spec is not None
        return table_of(spec, self.expand)

    def expand(self, rule: View) -> Iterator[Route]:
        delegate = self.delegate(rule)
        spec = View.of(delegate, VIRTUAL_SERVICE, self.notes).child("spec") if delegate else None
        roots = matches_of(rule)
        for below in spec.children("http") if spec is not None else ():
            template = rule_of(below, rule)
            if template is None:
                continue
            leaves = matches_of(below) if "match" in below else []
            matches = merged_matches(roots if "match" in rule else [], leaves)
            if matches is None:
                text = f"{below.name()} is left out: it matches requests that {rule.name()} ({rule.source()}) does not"
                below.warn("delegate-conflict", f"{text} delegate")
            else:
                yield from named(template, matches)

    def delegate(self, rule: View) -> Document | None:
        """The document meant, if it may be used."""
        view = rule.child("delegate")
        if view is None or not view.require("name"):
            return None
        key = (view.string("namespace") or self.root.namespace, view.string("name"))
        found = self.documents.get(key)
        if found is None:
            rule.error("unknown-delegate", self._unknown(key), "delegate")
            return None
        self.used.add(key)
        if problem := self._problem(found):
            text = f"{rule.name('delegate')}: VirtualService `{found.name}` ({found.where()}) {problem}"
            rule.error("bad-delegate", text, "delegate")
            return None
        return found

    def _unknown(self, key: Key) -> str:
        known = {name: f"{namespace}/{name}" for (namespace, name), d in self.documents.items() if _is_delegate(d)}
        close = nearest(key[1], known)
        hint = f"did you mean `{known[close]}`?" if close else f"delegates: {listed(known.values()) or 'none'}"
        return f"there is no VirtualService `{'/'.join(key)}` to delegate to; {hint}"

    def _problem(self, found: Document) -> str:
        """Why a VirtualService cannot be a delegate of the root; "" if it can."""
        if found is self.root:
            return "delegates to itself"
        if not _is_delegate(found):
            return "has hosts of its own; a delegate has none"
        if delegating(found):
            return "delegates further; there is one level only (Istio)"
        seen_by = names.visible_to(_strings(found, "exportTo"), found.namespace)
        if seen_by and self.root.namespace not in seen_by:
            return f"is not exported to namespace `{self.root.namespace}`"
        return ""


def _strings(document: Document, key: str) -> list[str]:
    found = (document.data.get("spec") or {}).get(key)
    return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []


# -- matches of two levels


def merged_matches(roots: Sequence[Match], leaves: Sequence[Match]) -> list[Match] | None:
    """Each leaf with each root that it lies inside of; None if a leaf lies inside none."""
    if not roots or not leaves:
        return list(leaves or roots or [Match()])
    found: list[Match] = []
    for leaf in leaves:
        inside = [_merged(root, leaf) for root in roots if not conflicts(root, leaf)]
        if not inside:
            return None
        found += inside
    return found


def _merged(root: Match, leaf: Match) -> Match:
    names_of_both = [name for name in (root.name, leaf.name) if name]
    return Match(
        name="-".join(names_of_both),
        path=leaf.path or root.path,
        headers=tuple({_which(h): h for h in (*root.headers, *leaf.headers)}.values()),
        query=tuple(dict([*root.query, *leaf.query]).items()),
        port=leaf.port or root.port,
        caller_labels={**root.caller_labels, **leaf.caller_labels},
        caller_namespace=leaf.caller_namespace or root.caller_namespace,
        gateways=leaf.gateways or root.gateways,
    )


def _which(header: HeaderMatch) -> tuple[str, bool, tuple[str, ...]]:
    return (header.name, header.invert, header.claim)


def conflicts(root: Match, leaf: Match) -> bool:
    """The leaf asks for requests that the root does not take (Istio's hasConflict)."""
    above = {_which(h): h.match for h in root.headers}
    pairs = [(root.path, leaf.path), *((above.get(_which(h)), h.match) for h in leaf.headers)]
    pairs += [(dict(root.query).get(name), wanted) for name, wanted in leaf.query]
    labels = root.caller_labels
    return (
        any(outside(one, other) for one, other in pairs)
        or bool(root.path and root.path.ignore_case) != bool(leaf.path and leaf.path.ignore_case)
        or bool(root.port and leaf.port and root.port != leaf.port)
        or root.caller_namespace not in ("", leaf.caller_namespace)
        or any(labels.get(name, value) != value for name, value in leaf.caller_labels.items())
        or bool(root.gateways and set(leaf.gateways) - set(root.gateways))
    )


def outside(root: StringMatch | None, leaf: StringMatch | None) -> bool:
    """Nothing is outside of no condition; regular expressions cannot be compared (Istio's stringMatchConflict)."""
    if root is None or leaf is None:
        return False
    if root.kind == "exact":
        return leaf.kind != "exact" or leaf.value != root.value
    if root.kind == "prefix" and leaf.kind in ("exact", "prefix"):
        return not leaf.value.startswith(root.value)
    return True
