"""Real manifests, broken in small ways: what people's slips, merges and templates make of them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

Where = tuple[str | int, ...]

JUNK: tuple[Any, ...] = (
    None, True, -1, 0, 1, 65536, 2**63, 1.5, float("inf"), "", " ", "*", "*.", "/", "//", "..", "((", "[a", "a{2,1}",
    "%", "%ZZ%", "\x00", "\n", "é", "x" * 300, "10", "1s", "-1s", "1h1h", "99999999h", "1e9s", "0.0.0.0/33",
    "a\nb", "not-a-mode", "v1.", "-v1", "http://x/", "a b", ":80", "x:y:z", [], {}, [[]], [None], {"": ""}, {"a": {}},
)  # fmt: skip
"""What stands where something else should."""


def bundles(corpora: Path) -> list[list[dict[str, Any]]]:
    """The objects of each file, of all files that are YAML."""
    folders = ("istio/config", "istio/samples", "istio/invalid", "istio/authz", "istio/analyzers", "gateway-api/tests")
    found = []
    for folder in folders:
        for path in sorted((corpora / folder).rglob("*.yaml")):
            try:
                objects = [d for d in yaml.safe_load_all(path.read_text()) if isinstance(d, dict) and d.get("kind")]
            except yaml.YAMLError:
                continue  # a template, or broken on purpose
            if objects:
                found.append(objects[:12])
    return found


def nodes(value: Any, at: Where = ()) -> list[Where]:
    """The place of every node below this one."""
    children: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    return [place for key, below in children for place in [(*at, key), *nodes(below, (*at, key))]]


@st.composite
def mutated(draw: st.DrawFn, originals: list[list[dict[str, Any]]]) -> str:
    """One file with one to three things wrong (or, now and then, just different), as text."""
    objects = copy.deepcopy(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 3))):
        target = draw(st.sampled_from(objects))
        places = nodes(target)
        if places:
            mutate(draw, target, draw(st.sampled_from(places)), objects)
    return yaml.safe_dump_all(objects, allow_unicode=True)


def mutate(draw: st.DrawFn, root: Any, place: Where, objects: list[dict[str, Any]]) -> None:
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
