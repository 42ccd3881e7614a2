"""Our objects against those of Flagger's controllers and routers, step by step: flagger_real/README.md.

Not compared: owner references, random ids, the order of what Go keeps in maps, rules that no request can reach.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from meshtest.errors import ManifestError
from meshtest.manifests.reader import read_text
from meshtest.model.document import Documents
from meshtest.rollouts.canary import Canary, Routes, objects
from meshtest.rollouts.canary.reading import KIND, of
from meshtest.rollouts.canary.state import ALL_PRIMARY, Status
from tests.conformance.misses import tell

RECORDED = Path(__file__).parent / "flagger_real" / "objects.jsonl"
Json = dict[str, Any]


def test_flagger_objects(capsys: pytest.CaptureFixture[str]) -> None:
    results = {
        f"{told['name']}#{number} {name}": wrong
        for told in map(json.loads, RECORDED.read_text().splitlines())
        for number, found in enumerate(differences(told))
        for name, wrong in found.items()
    }
    with capsys.disabled():
        tell("flagger objects", sum(not wrong for wrong in results.values()), len(results))
    assert {name: wrong for name, wrong in results.items() if wrong} == {}


def differences(told: Json) -> Iterator[dict[str, str]]:
    """By step: object to what is different about it; what neither of us has touched is left out."""
    documents = read_text("\n---\n".join(map(json.dumps, [told["canary"], *told["objects"]])), told["name"])
    canary = of(documents.of(KIND)[0])
    for step in told["steps"]:
        documents = documents.apply(read_text("\n---\n".join(map(json.dumps, step.get("apply", ()))), "apply"))
        before = seen(documents)
        try:
            documents = performed(canary, documents, step)
        except ManifestError as refused:
            yield {"refusal": "" if step.get("error") else str(refused)}
            continue
        theirs = {_name(one): normal(one) for one in step.get("objects", ())}
        ours = {name: one for name, one in seen(documents).items() if name in theirs or one != before.get(name)}
        if step["do"] == "create" and canary.runs_pods:
            ours.pop(f"Service/{canary.service.name}", None)  # ours is there at once, theirs when it can be of use
        yield {name: _difference(ours.get(name), theirs.get(name)) for name in {**ours, **theirs}} | _configs(
            canary, documents, step
        )


def performed(canary: Canary, documents: Documents, step: Json) -> Documents:
    match step["do"]:
        case "create":
            return objects.created(canary, documents)
        case "zero":
            return objects.scaled(canary, documents, 0)
        case "up":
            return objects.scaled(canary, documents, wanted(canary, documents))
        case "promote":
            return objects.promoted(canary, objects.taken_over(canary, documents))
        case "reconcile":
            return objects.routed(canary, documents, ALL_PRIMARY, Status())
    status = Status(
        cookie=step.get("cookie", ""), primary_cookie=step.get("kept", ""), previous_cookie=step.get("previous", "")
    )
    routes = Routes(step.get("primary", 0), step.get("canary", 0), step.get("mirrored", False))
    return objects.routed(canary, documents, routes, status)


def wanted(canary: Canary, documents: Documents) -> int:
    """As the tick says it (beginning.py) of a canary that is at zero."""
    if canary.autoscaler:
        return objects.target_of(canary, documents).least_replicas
    primary = next(
        one for one in documents if one.name == f"{canary.target}-primary" and "template" in one.data["spec"]
    )
    return int(primary.data["spec"].get("replicas", 1))


def seen(documents: Documents) -> dict[str, Json]:
    return {_name(one.data): normal(one.data) for one in documents if one.kind != KIND}


def _name(data: Mapping[str, Any]) -> str:
    return f"{data['kind']}/{data['metadata']['name']}"


def _difference(ours: Json | None, theirs: Json | None) -> str:
    return "" if ours == theirs else f"ours {json.dumps(ours)}\n  theirs {json.dumps(theirs)}"


def _configs(canary: Canary, documents: Documents, step: Json) -> dict[str, str]:
    if "configs" not in step:
        return {}
    ours = dict(objects.target_of(canary, documents).configs)
    return {"configs": "" if ours == step["configs"] else f"ours {ours}\n  theirs {step['configs']}"}


# -- the same for both


RANDOM = ("ownerReferences", "flagger-id", "flagger.kubernetes.io/original-configuration")


def normal(data: Mapping[str, Any]) -> Json:
    found: Json = _lean(data)
    spec = found.get("spec", {})
    for key in ("http", "rules"):
        if key in spec:
            spec[key] = _reachable(spec[key])
    if data["kind"] == "Service":
        spec["ports"].sort(key=lambda port: str(port["port"]))
    return found


def _lean(node: Any, key: str = "") -> Any:
    if isinstance(node, dict):
        found = {name: _lean(value, name) for name, value in node.items() if name not in RANDOM}
        return {name: value for name, value in found.items() if value not in (None, "", [], {})}
    if isinstance(node, list):
        items = [_lean(item) for item in node]
        return sorted(items, key=json.dumps) if key in ("headers", "queryParams") else items
    return node


def _reachable(rules: list[Json]) -> list[Json]:
    conditions = [rule.get("matches", rule.get("match")) for rule in rules]
    return [rule for number, rule in enumerate(rules) if conditions[number] not in conditions[:number]]
