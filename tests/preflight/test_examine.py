"""The examination as a whole: fast enough to run before each apply, and never a traceback."""

from __future__ import annotations

import contextlib
import copy
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshtest.errors import ManifestError
from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import documents_of, read_text
from meshtest.model.document import Document, Documents
from meshtest.preflight import CODES, examine
from meshtest.preflight.plan import plan
from tests.preflight.pairs import PAIRS
from tests.preflight.shop import Object, route, rule, service, subsets, to, version


def many(count: int) -> Documents:
    """So many shops of their own."""
    objects: list[Object] = []
    for number in range(count):
        name = f"s{number}"
        rules = subsets("v1", "v2", host=name)
        rules["metadata"]["name"] = name
        split = rule(to(name, "v1", 90), to(name, "v2", 10))
        first = rule(to(name), match=[{"uri": {"prefix": "/a/"}, "headers": {"x": {"exact": "y"}}}])
        objects += [service(name), version("v1", name), version("v2", name), rules]
        objects += [route(first, split, name=name, hosts=[name])]
    return Documents(tuple(Document(made, "many.yaml") for made in objects))


def _spent(documents: Documents) -> float:
    """Seconds of this process's own time, which others on the machine do not stretch."""
    began = time.process_time()
    assert examine(documents) == []
    return time.process_time() - began


def test_1000_virtual_services_take_less_than_a_second_and_a_half() -> None:
    assert min(_spent(many(1000)) for _ in range(2)) <= 1.5


def test_a_small_shop_takes_less_than_5_ms() -> None:
    documents = many(4)
    assert min(_spent(documents) for _ in range(5)) <= 0.005


def test_a_name_that_no_cluster_takes_is_told_once() -> None:
    text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: Web\nspec: {ports: [{port: 80, name: http}]}\n"
    documents = read_text(text, "m.yaml")
    (finding,) = examine(documents, None, compile(documents).diagnostics)
    assert (finding.code, str(finding.source)) == ("IST0106", "m.yaml:4")
    assert "`metadata.name` is 'Web'" in finding.message


def test_what_did_not_change_is_not_examined_again() -> None:
    documents = many(50)
    examine(documents)
    changed = documents.apply([documents.items[0]])
    assert [f.code for f in examine(changed)] == []


# -- whatever people write

JUNK = st.sampled_from([None, True, 7, -1, "", "x", "*", [], [None], ["x"], {}, {"x": None}, [{}], [[1]], {"name": 3}])
OBJECTS: list[Object] = [made for pair in PAIRS.values() for objects in pair for made in objects]


@st.composite
def spoilt(draw: st.DrawFn) -> Object:
    """A manifest with one node replaced by junk."""
    made = copy.deepcopy(draw(st.sampled_from(OBJECTS)))
    node: Any = made
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        keys = [key for key in keys if node is not made or key not in ("apiVersion", "kind", "metadata")]
        if not keys:
            return made
        key = draw(st.sampled_from(keys))
        if isinstance(node[key], dict | list) and draw(st.booleans()):
            node = node[key]
        else:
            node[key] = draw(JUNK)
            return made


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(spoilt(), min_size=1, max_size=4))
def test_junk_anywhere_is_never_a_traceback(objects: list[Object]) -> None:
    documents = Documents(tuple(Document(made, "junk.yaml") for made in objects))
    for finding in examine(documents, documents):
        assert finding.code in CODES
        assert "\n" not in str(finding)
    plan(documents, Documents(documents.items[:1]))


@pytest.mark.parametrize("folder", ["istio/samples", "istio/config", "gateway-api"])
def test_real_manifests_are_examined_without_a_traceback(folder: str, corpora: Path) -> None:
    files = sorted((corpora / folder).rglob("*.yaml"))
    assert files
    for path in files:
        with contextlib.suppress(ManifestError):  # templates, and values of charts
            documents = Documents(tuple(documents_of(path.read_text(), path.name)))
            assert all(finding.code in CODES for finding in examine(documents))
