"""Real manifests, broken in small ways: what people's slips, merges and templates make of them."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from meshtest.manifests.nodes import LOADER
from meshtest.manifests.reader import read_text
from meshtest.model.document import Documents
from tests.conformance.test_istio_config import ELSEWHERE

DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
Where = tuple[str | int, ...]

JUNK: tuple[Any, ...] = (
    None, True, -1, 0, 1, 65536, 2**63, 1.5, float("inf"), "", " ", "*", "*.", "/", "//", "..", "((", "[a", "a{2,1}",
    "%", "%ZZ%", "\x00", "\n", "é", "x" * 300, "10", "1s", "-1s", "1h1h", "99999999h", "1e9s", "0.0.0.0/33",
    "a\nb", "not-a-mode", "v1.", "-v1", "http://x/", "a b", ":80", "x:y:z", [], {}, [[]], [None], {"": ""}, {"a": {}},
)  # fmt: skip
"""What stands where something else should."""


PODS = frozenset({"Deployment", "Pod", "DaemonSet", "StatefulSet", "ReplicaSet", "Job"})


@dataclass(frozen=True)
class Bundle:
    """The objects of one file, and those of other files that they need: these stay as they are."""

    objects: list[dict[str, Any]]
    beside: Documents = field(default_factory=Documents)


def bundles(corpora: Path) -> list[Bundle]:
    """Of all files that are YAML."""
    found = []
    for folder, beside in contexts(corpora).items():
        for path in sorted((corpora / folder).rglob("*.yaml")):
            if objects := [o for o in objects_of(path) if "_err" not in o]:
                found.append(Bundle(objects[:12], beside))
    return found


def contexts(corpora: Path) -> dict[str, Documents]:
    """By folder what its files take for granted: Services, and the gateways of a conformance suite. No pods."""
    shop, base = corpora / "istio/samples/bookinfo", corpora / "gateway-api"
    bookinfo = standing(shop / "platform/kube/bookinfo.yaml", shop / "networking/destination-rule-all.yaml")
    infra = standing(*sorted((base / "base").glob("*.yaml")), *sorted((base / "mesh").glob("*.yaml")))
    return {
        "istio/config": read_text(ELSEWHERE, "beside.yaml"),
        "istio/samples": bookinfo,
        "istio/invalid": Documents(),
        "istio/authz": Documents(),
        "istio/analyzers": bookinfo,
        "gateway-api/tests": infra,
    }


def standing(*files: Path) -> Documents:
    """What is valid of these files by itself."""
    kept = [o for path in files for o in objects_of(path) if o["kind"] not in PODS]
    return read_text(yaml.safe_dump_all(kept), "beside.yaml") if kept else Documents()


def objects_of(path: Path) -> list[dict[str, Any]]:
    """None of a template, nor of what is broken on purpose."""
    try:
        return [d for d in yaml.load_all(path.read_text(), LOADER) if isinstance(d, dict) and d.get("kind")]
    except yaml.YAMLError:
        return []


def nodes(value: Any, at: Where = ()) -> list[Where]:
    """The place of every node below this one."""
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [place for key, below in children for place in [(*at, key), *nodes(below, (*at, key))]]


Values = dict[tuple[str, ...], list[Any]]
"""What people write at one place of one kind: by kind and the keys down to it."""


def values(originals: list[Bundle]) -> Values:
    found: Values = {}
    for root in (root for bundle in originals for root in bundle.objects):
        for place in nodes(root):
            found.setdefault(shape(root, place), []).append(parent(root, place)[place[-1]])
    return found


def shape(root: dict[str, Any], place: Where) -> tuple[str, ...]:
    return (str(root["kind"]), *(step if isinstance(step, str) else "[]" for step in place))


@st.composite
def mutated(draw: st.DrawFn, originals: list[Bundle], known: Values) -> tuple[str, Documents]:
    """One file with one to three things wrong, or just different, as text; and what it stands beside."""
    original = draw(st.sampled_from(originals))
    objects = copy.deepcopy(original.objects)
    change = draw(st.sampled_from((mutate, vary, vary, vary)))
    for _ in range(draw(st.integers(1, 3))):
        target = draw(st.sampled_from(objects))
        places = [place for place in nodes(target) if change is mutate or place[0] == "spec"]
        if places and "kind" in target:
            change(draw, target, draw(st.sampled_from(places)), objects, known)
    return yaml.dump_all(objects, Dumper=DUMPER, allow_unicode=True), original.beside


def vary(draw: st.DrawFn, root: dict[str, Any], place: Where, objects: list[dict[str, Any]], known: Values) -> None:
    """What others write at the same place, which mostly makes sense."""
    holder, key = parent(root, place), place[-1]
    if others := known.get(shape(root, place)):
        holder[key] = copy.deepcopy(draw(st.sampled_from(others)))


def mutate(draw: st.DrawFn, root: dict[str, Any], place: Where, objects: list[dict[str, Any]], known: Values) -> None:
    """What makes no sense, mostly."""
    holder, key = parent(root, place), place[-1]
    match draw(st.sampled_from(("junk", "drop", "twice", "rename", "swap", "twist"))):
        case "junk":
            holder[key] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        case "drop":
            del holder[key]
        case "twice" if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        case "rename" if isinstance(holder, dict):
            holder[draw(st.sampled_from((f"{key}s", str(key).upper(), "x", str(key)[:-1])))] = holder.pop(key)
        case "swap":
            other = draw(st.sampled_from(objects))
            at = draw(st.sampled_from(nodes(other)))
            holder[key] = copy.deepcopy(parent(other, at)[at[-1]])
        case "twist" if isinstance(holder[key], str):
            holder[key] += draw(
                st.sampled_from(("/", "(", "*", ".", " ", "\\", "x" * 70, ":1", "(?=x)", "x{2000}", r"(x)\1"))
            )
        case _:
            holder[key] = draw(st.one_of(st.text(max_size=5), st.integers(), st.booleans()))


def parent(root: Any, place: Where) -> Any:
    for key in place[:-1]:
        root = root[key]
    return root
