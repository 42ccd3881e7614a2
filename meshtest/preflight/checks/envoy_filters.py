"""EnvoyFilter patches that do nothing, or depend on an order that nobody set.

Upstream: istio/istio pkg/config/analysis/analyzers/envoyfilter/envoyfilter.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.model.document import Document
from meshtest.preflight.dig import Object, at, object_at, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import ENVOY_FILTER
from meshtest.preflight.rules import across
from meshtest.preflight.scene import Scene

NEVER_PATCHED_SO = frozenset({"ROUTE_CONFIGURATION", "HTTP_ROUTE"})
REPLACEABLE = frozenset({"NETWORK_FILTER", "HTTP_FILTER", "VIRTUAL_HOST"})
INSERTS = frozenset({"INSERT_BEFORE", "INSERT_AFTER"})


@across(ENVOY_FILTER, analyzer="envoyfilter.EnvoyPatchAnalyzer")
def operations(scene: Scene) -> Iterator[Hit]:
    """IST0151 to IST0155. A patch meets the filters patched for a proxy version by objects before it."""
    versioned: set[str] = set()
    for document in scene.of(ENVOY_FILTER):
        yield from _patches(document, versioned)


def _patches(document: Document, versioned: set[str]) -> Iterator[Hit]:
    for index, item in objects(document.data, "spec", "configPatches"):
        if not isinstance(at(item, "patch"), dict):
            break
        name = _patched(item)
        yield from _operation(document, index, item, name in versioned)
        if at(item, "match", "proxy", "proxyVersion"):
            versioned.add(name)


def _patched(item: Object) -> str:
    """The filter a patch is about: the name of its value, else of the filter it matches."""
    value = object_at(item, "patch", "value")
    if not value:
        return ""
    return text(value, "name") or text(item, "match", "listener", "filterChain", "filter", "name")


def _operation(document: Document, index: int, item: Object, versioned: bool) -> Iterator[Hit]:
    operation, target = text(item, "patch", "operation"), text(item, "applyTo")
    path = ("spec", "configPatches", index, "patch", "operation")
    useless = {
        "ADD": ("IST0153", target in NEVER_PATCHED_SO),
        "REMOVE": ("IST0154", target in NEVER_PATCHED_SO),
        "REPLACE": ("IST0152", target not in REPLACEABLE),
    }
    code, does_nothing = useless.get(operation, ("", False))
    if does_nothing:
        yield Hit(code, document, path, f"{operation} does nothing for {target}")
    elif operation in INSERTS | {"REMOVE", "REPLACE"} and not at(document.data, "spec", "priority"):
        code = "IST0155" if versioned else "IST0151"
        more = ", and another patch of this filter is for one proxy version" if versioned else ""
        yield Hit(
            code, document, path, f"{operation} depends on the order of EnvoyFilters, and there is no priority{more}"
        )
