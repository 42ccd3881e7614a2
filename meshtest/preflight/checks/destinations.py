"""Where VirtualServices lead: to hosts, ports and subsets that must be there.

Upstream: istio/istio pkg/config/analysis/analyzers/virtualservice/destinationhosts.go, destinationrules.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from meshtest.lib.words import listed, nearest
from meshtest.manifests.istio.names import fqdn
from meshtest.model.document import Document
from meshtest.preflight.dig import objects, strings, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from meshtest.preflight.rules import across
from meshtest.preflight.scene import Host, Scene
from meshtest.preflight.virtual_services import Target, hosts, targets


@across(VIRTUAL_SERVICE, analyzer="virtualservice.DestinationHostAnalyzer")
def hosts_and_ports(scene: Scene) -> Iterator[Hit]:
    """IST0101 for hosts and ports that are not there, IST0112 for ports that must be named."""
    for document in scene.of(VIRTUAL_SERVICE):
        export_to = strings(document.data, "spec", "exportTo")
        for target in targets(document):
            host = scene.host(target.host, document.namespace, export_to)
            yield from _unknown(scene, document, target) if host is None else _port(document, target, host)


def _unknown(scene: Scene, document: Document, target: Target) -> Iterator[Hit]:
    what = "mirror" if target.mirror else "destination"
    known = {host.partition(".")[0]: host for host in scene.hosts}
    close = nearest(target.host.partition(".")[0], known)
    hint = f"; did you mean `{close}`?" if close and close != target.host else ""
    yield Hit("IST0101", document, target.path, f"{what} `{target.host}` is no service that this object sees{hint}")


def _port(document: Document, target: Target, host: Host) -> Iterator[Hit]:
    numbers = [port.number for port in host.ports]
    shown = listed(map(str, numbers))
    if target.port is None:
        if len(numbers) > 1:
            text = f"`{target.host}` has several ports ({shown}), and the destination names none"
            yield Hit("IST0112", document, target.path, text)
    elif target.port not in numbers:
        text = f"`{target.host}` has no port {target.port}; it has {shown or 'none'}"
        yield Hit("IST0101", document, target.path, text)


@across(VIRTUAL_SERVICE, analyzer="virtualservice.DestinationRuleAnalyzer")
def subsets(scene: Scene) -> Iterator[Hit]:
    """IST0101 for subsets that no DestinationRule defines."""
    defined = subsets_by_host(scene)
    for document in scene.of(VIRTUAL_SERVICE):
        for target in targets(document):
            known = defined.get(fqdn(target.host, document.namespace), {})
            if target.subset and target.subset not in known:
                hint = f"it has {listed(known)}" if known else "no DestinationRule defines any for it"
                what = "mirror host" if target.mirror else "host"
                text = f"{what} `{target.host}` has no subset `{target.subset}`; {hint}"
                yield Hit("IST0101", document, target.path, text)


def subsets_by_host(scene: Scene) -> dict[str, dict[str, Document]]:
    """Fully qualified host to its subsets, with the DestinationRule that defines each."""
    found: dict[str, dict[str, Document]] = defaultdict(dict)
    for document in scene.of(DESTINATION_RULE):
        host = fqdn(text(document.data, "spec", "host"), document.namespace)
        for _, subset in objects(document.data, "spec", "subsets"):
            found[host].setdefault(text(subset, "name"), document)
    return found


@across(VIRTUAL_SERVICE, analyzer="virtualservice.DestinationHostAnalyzer")
def subsets_behind_gateways(scene: Scene) -> Iterator[Hit]:
    """IST0140: another VirtualService splits the host, which requests through the gateway never see."""
    splitters = _splitters(scene)
    for document in scene.of(VIRTUAL_SERVICE):
        if not strings(document.data, "spec", "gateways"):
            continue
        for target in targets(document):
            if target.mirror or target.subset or target.path[1] != "http":
                continue
            for other in splitters.get(target.host, ()):
                text = (
                    f"VirtualService `{other.namespace}/{other.name}` chooses subsets of `{target.host}`; "
                    "requests through this one's gateways get all of them"
                )
                yield Hit("IST0140", document, target.path, text)


def _splitters(scene: Scene) -> dict[str, list[Document]]:
    """Host as written to the VirtualServices for it that choose a subset, once for each choice."""
    found: dict[str, list[Document]] = defaultdict(list)
    for document in scene.of(VIRTUAL_SERVICE):
        own = hosts(document)
        for target in targets(document):
            if target.subset and not target.mirror and target.path[1] == "http" and target.host in own:
                found[target.host].append(document)
    return found
