"""What happens between the old state and the new: only when what is applied already is known. Ours."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.istio.names import fqdn
from meshtest.preflight.checks.destinations import subsets_by_host
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import DESTINATION_RULE, VIRTUAL_SERVICE
from meshtest.preflight.rules import across
from meshtest.preflight.scene import Scene
from meshtest.preflight.virtual_services import targets


@across(VIRTUAL_SERVICE, DESTINATION_RULE)
def together(scene: Scene) -> Iterator[Hit]:
    """MT010 for a new subset and its route in one apply, MT011 for one that is taken from under a route."""
    if scene.before is None:
        return
    old = Scene(scene.before)
    there, wanted = subsets_by_host(old), subsets_by_host(scene)
    for document in scene.of(VIRTUAL_SERVICE):
        earlier = old.by_key.get(document.key)
        used = {(fqdn(t.host, earlier.namespace), t.subset) for t in targets(earlier)} if earlier else set()
        for target in targets(document):
            host = fqdn(target.host, document.namespace)
            if not target.subset or host not in old.hosts:
                continue
            new, kept = target.subset in there.get(host, ()), target.subset in wanted.get(host, ())
            shown = f"subset `{target.subset}` of `{target.host}`"
            if kept and not new and (host, target.subset) not in used:
                yield Hit("MT010", document, target.path, f"{shown} comes with the same apply as this route to it")
            elif new and not kept:
                yield Hit("MT011", document, target.path, f"{shown} is removed, and this route still leads to it")


@across(DESTINATION_RULE)
def removed_together(scene: Scene) -> Iterator[Hit]:
    """MT010, the other way round: the route leaves a subset in the same apply that removes it."""
    if scene.before is None:
        return
    old = Scene(scene.before)
    there, wanted = subsets_by_host(old), subsets_by_host(scene)
    for earlier in old.of(VIRTUAL_SERVICE):
        now = scene.by_key.get(earlier.key)
        still = {(fqdn(t.host, now.namespace), t.subset) for t in targets(now)} if now else set()
        for target in targets(earlier):
            key = (fqdn(target.host, earlier.namespace), target.subset)
            if key[1] and key not in still and key[1] in there.get(key[0], ()) and key[1] not in wanted.get(key[0], ()):
                rule = scene.by_key.get(there[key[0]][key[1]].key)
                if rule is not None:
                    message = f"subset `{key[1]}` goes in the same apply that moves the last route away from it"
                    yield Hit("MT010", rule, ("spec", "subsets"), message)
                    break
