"""DestinationRules whose policy does less, or more, than it says. All ours."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.lib.words import listed
from meshtest.manifests.istio.names import fqdn
from meshtest.model.document import Document, Path
from meshtest.preflight.dig import Object, at, labels, number, object_at, objects, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from meshtest.preflight.rules import across, each
from meshtest.preflight.scene import Scene
from meshtest.preflight.virtual_services import targets

EJECTED = 10
"""maxEjectionPercent of Envoy, which Istio leaves alone."""
BLOCKS = ("loadBalancer", "connectionPool", "outlierDetection", "tls")


def policies(document: Document) -> Iterator[tuple[Path, Object, dict[str, str]]]:
    """Each trafficPolicy that stands for all ports, with the labels it narrows the host to."""
    yield ("spec", "trafficPolicy"), object_at(document.data, "spec", "trafficPolicy"), {}
    for index, subset in objects(document.data, "spec", "subsets"):
        yield ("spec", "subsets", index, "trafficPolicy"), object_at(subset, "trafficPolicy"), labels(subset, "labels")


def _detections(document: Document) -> Iterator[tuple[Path, Object, dict[str, str]]]:
    for path, policy, narrowed in policies(document):
        if "outlierDetection" in policy:
            yield (*path, "outlierDetection"), object_at(policy, "outlierDetection"), narrowed
        for index, setting in objects(policy, "portLevelSettings"):
            if "outlierDetection" in setting:
                where = (*path, "portLevelSettings", index, "outlierDetection")
                yield where, object_at(setting, "outlierDetection"), narrowed


@across(DESTINATION_RULE)
def ejections(scene: Scene) -> Iterator[Hit]:
    """MT001. One pod alone cannot be ejected usefully, so it takes two."""
    for document in scene.of(DESTINATION_RULE):
        host = None
        for path, detection, narrowed in _detections(document):
            host = host or scene.host(text(document.data, "spec", "host"), document.namespace)
            if host is None or not host.selector:
                break
            selected = scene.selected({**host.selector, **narrowed}, host.document.namespace)
            pods = sum(found.replicas for found in selected)
            percent = number(detection, "maxEjectionPercent")
            percent = EJECTED if percent is None else percent
            if pods >= 2 and percent * pods < 100:
                message = f"{percent:g} % of {pods} pods is less than one: none is ever ejected"
                fix = f"Set `maxEjectionPercent: {-(-100 // pods)}` or more."
                yield Hit("MT001", document, path, message, fix)


@each(DESTINATION_RULE)
def localities(document: Document) -> Iterator[Hit]:
    """MT013"""
    base = object_at(document.data, "spec", "trafficPolicy", "loadBalancer")
    for path, policy, _ in policies(document):
        own = object_at(policy, "loadBalancer") or base
        if "outlierDetection" in policy and "localityLbSetting" not in own:
            message = "with outlier detection, callers prefer pods of their own zone as long as those are healthy"
            yield Hit("MT013", document, (*path, "outlierDetection"), message)


@each(DESTINATION_RULE)
def port_settings(document: Document) -> Iterator[Hit]:
    """MT019"""
    for path, policy, _ in policies(document):
        for index, setting in objects(policy, "portLevelSettings"):
            lost = [block for block in BLOCKS if block in policy and block not in setting]
            if lost:
                message = f"port {at(setting, 'port', 'number')} does not inherit {listed(lost)}"
                yield Hit("MT019", document, (*path, "portLevelSettings", index), message)


@across(DESTINATION_RULE, VIRTUAL_SERVICE)
def hashes(scene: Scene) -> Iterator[Hit]:
    """MT002: told of the rule that splits."""
    hashed = {}
    for document in scene.of(DESTINATION_RULE):
        for _, policy, _ in policies(document):
            if object_at(policy, "loadBalancer", "consistentHash"):
                hashed[fqdn(text(document.data, "spec", "host"), document.namespace)] = document
    for document in scene.of(VIRTUAL_SERVICE) if hashed else ():
        for path, host in _splits(document):
            if rule := hashed.get(host):
                message = (
                    f"this split is drawn anew for each request; the hash ({rule.where()}) counts only within a version"
                )
                yield Hit("MT002", document, path, message)


def _splits(document: Document) -> Iterator[tuple[Path, str]]:
    """Rules with several weighted subsets of one host."""
    found: dict[tuple[Path, str], set[str]] = {}
    for target in targets(document):
        if target.subset and not target.mirror:
            weight = number(_route(document, target.path), "weight")
            if weight is None or weight > 0:
                key = (target.path[:4], fqdn(target.host, document.namespace))
                found.setdefault(key, set()).add(target.subset)
    yield from (key for key, subsets in found.items() if len(subsets) > 1)


def _route(document: Document, path: Path) -> Object:
    """The route a destination's path goes through: spec, family, rule, "route", index."""
    rules = dict(objects(document.data, "spec", str(path[1])))
    routes = dict(objects(rules.get(int(path[2])), "route"))
    return routes.get(int(path[4]), {})
