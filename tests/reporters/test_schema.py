"""The published schemas hold for what is really written, and each has teeth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshtest.model import graph as graphs
from meshtest.model import rehearsal
from meshtest.model.span import parse_span
from meshtest.run import folder, open_run
from meshtest.telemetry.graph import graph_of
from meshtest.telemetry.missing import REASONS
from tests.reporters import canary_rehearsals

jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema")

REPORTS = Path(__file__).parents[2] / "reports"
NAMES = ("run", "event", "verdict", "span", "graph", "rehearsal")
EXAMPLES = sorted(path.parent for path in (REPORTS / "examples").glob("*/run.json"))


def schema(name: str) -> dict[str, Any]:
    return json.loads((REPORTS / "schema" / f"{name}.json").read_text())  # type: ignore[no-any-return]


def trouble(name: str, data: object) -> list[str]:
    """What the schema has against it."""
    validator = jsonschema.Draft202012Validator(schema(name))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


def run_trouble(run: Path) -> Iterator[str]:
    """All that the schemas have against a run folder."""
    files = {"run": run / folder.RUN, "verdict": run / folder.VERDICT, "rehearsal": run / rehearsal.FILE}
    yield from (
        f"{name}: {t}" for name, f in files.items() if f.exists() for t in trouble(name, json.loads(f.read_text()))
    )
    for name, file in (("event", run / folder.EVENTS), ("span", run / folder.SPANS)):
        for line in file.read_text().splitlines() if file.exists() else ():
            yield from (f"{line[:80]}: {text}" for text in trouble(name, json.loads(line)))
    graph = json.loads(json.dumps(graph_of(open_run(run).history()).as_data(), allow_nan=False))
    yield from (f"graph: {text}" for text in trouble("graph", graph))


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_schema_and_its_id_has_the_number_that_is_written(name: str) -> None:
    told = schema(name)
    jsonschema.Draft202012Validator.check_schema(told)
    if name == "graph":
        assert told["$id"] == told["properties"]["schema"]["const"] == graphs.SCHEMA
    else:
        assert told["$id"] == f"https://meshtest.dev/schema/{name}-{folder.SCHEMA_VERSION}.json"


def test_the_number_of_the_folder_is_the_one_that_is_written() -> None:
    assert schema("run")["properties"]["schema_version"]["const"] == folder.SCHEMA_VERSION


def test_the_reasons_are_those_that_are_given() -> None:
    assert tuple(schema("graph")["properties"]["missing"]["items"]["properties"]["reason"]["enum"]) == REASONS


@pytest.mark.parametrize("run", EXAMPLES, ids=lambda path: path.name)
def test_the_examples_hold(run: Path) -> None:
    assert list(run_trouble(run)) == []


def test_a_line_of_spans_as_it_is_read_holds() -> None:
    line = {
        "trace": "0" * 31 + "1", "id": "0" * 15 + "1", "parent": "", "service": "web.default", "name": "GET",
        "start": 5, "end": 9, "kind": "server", "attributes": {"http.status_code": 200},
        "events": [{"at": 6, "name": "retry", "attributes": {}}],
    }  # fmt: skip
    assert trouble("span", line) == []
    assert parse_span(json.dumps(line), 0.0).kind == "server"


def rehearsed() -> dict[str, Any]:
    """As it stands in its file."""
    told: dict[str, Any] = json.loads(json.dumps(canary_rehearsals.rolled_back().as_data()))
    return told


def test_a_rehearsal_holds() -> None:
    assert trouble("rehearsal", rehearsed()) == []
    assert trouble("rehearsal", json.loads(json.dumps(canary_rehearsals.doubtful().as_data()))) == []
    assert rehearsal.Rehearsal.from_data(rehearsed()) == canary_rehearsals.rolled_back()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("run", {"schema_version": folder.SCHEMA_VERSION}),
        ("run", {"schema_version": 1}),
        ("event", {"at": "soon", "kind": "note", "subject": "", "data": {"text": ""}}),
        ("event", {"at": 1, "kind": "config.apply", "subject": "", "data": {"number": 1}}),
        ("event", {"at": 1, "kind": "pod.exit", "subject": "", "data": {"code": 0, "signal": None}}),
        ("verdict", {"outcome": "MAYBE", "sentence": "", "findings": []}),
        ("span", {"trace": "1", "id": "1", "parent": "", "service": "", "name": "", "start": 1, "end": 2}),
        ("rehearsal", {**rehearsed(), "ending": "lost"}),
        ("rehearsal", {**rehearsed(), "ticks": [{"number": 1}]}),
        ("graph", {"schema": "https://meshtest.dev/schema/graph-1.json", "nodes": []}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused(name: str, data: object) -> None:
    assert trouble(name, data)


def test_an_event_of_a_kind_that_nobody_knows_is_none_of_its_business() -> None:
    assert trouble("event", {"at": 1.5, "kind": "moon.full", "subject": "", "data": {"x": 1}}) == []
