"""flagger-loadtester's rows L1 to L38, as its handlers were measured: equal, or another answer on purpose.

The reasons for those that differ are in meshtest/webhook/loadtester.py.
"""

from __future__ import annotations

import re

import pytest

from meshtest.lib import exposition
from meshtest.webhook import loadtester
from meshtest.webhook.auth import Guard
from tests.webhook.endpoint.site import Site


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_l1_healthz(site: Site, method: str) -> None:
    assert site.ask(method, "/healthz")[:2] == (200, "OK")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_l2_approve(site: Site, method: str) -> None:
    assert site.ask(method, "/gate/approve")[:2] == (200, "OK")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_l3_halt(site: Site, method: str) -> None:
    assert site.ask(method, "/gate/halt")[:2] == (403, "Forbidden")


def test_l4_a_gate_that_nobody_knows_is_closed(site: Site) -> None:
    answer = site.post("/gate/check")
    assert (answer.status, answer.line) == (403, "Forbidden")
    assert "nobody has opened it" in answer.text


def test_l5_open(site: Site) -> None:
    assert site.post("/gate/open")[:2] == (202, "")


def test_l6_check_after_open(site: Site) -> None:
    site.post("/gate/open")
    assert site.post("/gate/check")[:2] == (200, "Approved")


def test_l7_another_namespace_is_another_gate(site: Site) -> None:
    site.post("/gate/open")
    assert site.post("/gate/check", namespace="other").status == 403


def test_l8_close(site: Site) -> None:
    site.post("/gate/open")
    assert site.post("/gate/close")[:2] == (202, "")
    assert site.post("/gate/check").status == 403


def test_l9_the_rollback_gate_is_apart(site: Site) -> None:
    site.post("/gate/open")
    assert site.post("/rollback/check").status == 403
    assert site.post("/rollback/open")[:2] == (202, "")
    site.post("/gate/close")
    assert site.post("/rollback/check")[:2] == (200, "Approved")
    site.post("/rollback/close")
    assert site.post("/rollback/check").status == 403


def test_l10_differs_a_name_opens_no_other_kind(site: Site) -> None:
    site.post("/gate/open", name="rollback.web")
    assert site.post("/rollback/check").status == 403


@pytest.mark.parametrize("path", ["/gate/check", "/gate/open", "/gate/close", "/rollback/check"])
def test_l11_differs_bad_json_and_no_body_are_400_with_the_reason_and_get_is_405(site: Site, path: str) -> None:
    assert site.ask("POST", path, b"{").line == (
        "the body is not JSON: Expecting property name enclosed in double quotes at line 1 column 2"
    )
    assert site.ask("POST", path).status == 400
    assert site.get(path)[0] == 405


def test_l12_differs_an_empty_object_finds_a_closed_gate_and_opens_none(site: Site) -> None:
    assert site.ask("POST", "/gate/check", b"{}").status == 403
    assert site.ask("POST", "/gate/open", b"{}")[:2] == (400, "name not found in payload\n")
    assert site.ask("POST", "/gate/check", b"{}").status == 403


def test_l13_metrics(site: Site) -> None:
    site.post("/gate/open")
    answer = site.get("/metrics")
    assert answer.headers["content-type"] == exposition.TEXT
    samples = {(s.name, *s.labels.values()): s.value for s in exposition.parse(answer.text)}
    assert samples["meshtest_webhook_answers_total", "/gate/open", "202"] == 1
    assert samples["meshtest_webhook_gates_open", "gate"] == 1


@pytest.mark.parametrize("path", ["/", "/foo", "/foo/bar", "/gates"])
def test_l14_any_other_path_is_a_task(site: Site, path: str) -> None:
    assert site.post(path, metadata={"cmd": "id"}).status == 403


@pytest.mark.parametrize("fields", [{}, {"metadata": {}}, {"metadata": None}])
def test_l15_no_metadata(site: Site, fields: dict[str, object]) -> None:
    assert site.post("/", **fields)[:2] == (400, "metadata not found in payload\n")


@pytest.mark.parametrize("body", [b'{"metadata": {"a": 1}}', b"[]", b"nonsense", b""])
def test_l16_differs_what_cannot_be_read_is_400_with_the_reason(site: Site, body: bytes) -> None:
    answer = site.ask("POST", "/", body)
    assert answer.status == 400
    assert answer.text.strip()


@pytest.mark.parametrize("kind", [None, *sorted(loadtester.COMMANDS)])
def test_l17_to_l28_differ_no_command_is_run(site: Site, kind: str | None) -> None:
    metadata = {"cmd": "touch /tmp/never"} | ({"type": kind} if kind else {})
    answer = site.post("/", metadata=metadata)
    assert answer.status == 403
    assert answer.line == (
        f"type {kind or 'cmd'}: commands of a payload are never run here. Make a suite of it under --suites, and call "
        "/hooks/pre-rollout/SUITE (there is payments, smoke, strict)"
    )
    assert not site.store.runs()


def test_l29_an_unknown_type(site: Site) -> None:
    assert site.post("/", metadata={"type": "dig"})[:2] == (400, "unknown task type 'dig'\n")


def test_l35_differs_the_whole_namespace_must_match(site: Site) -> None:
    site.endpoint.guard = Guard(namespaces=("prod",))
    assert site.post("/gate/check", namespace="nonprod").line == "namespace 'nonprod' is not admitted here"
    assert site.post("/gate/check", namespace="prod").line == "Forbidden"


def test_l36_differs_approve_wants_a_credential_and_healthz_none(site: Site) -> None:
    site.endpoint.guard = Guard(tokens=(b"0123456789abcdef",))
    assert site.get("/gate/approve").status == 401
    assert site.get("/healthz").status == 200


def test_l37_differs_gates_outlive_the_process(site: Site) -> None:
    site.post("/gate/open")
    site.restart()
    assert site.post("/gate/check").status == 200


def test_every_row_of_the_table_is_here() -> None:
    rows = {row for found in re.findall(r"^\| (L[-L\d]+)", loadtester.__doc__ or "", re.M) for row in _span(found)}
    assert rows == {f"L{number}" for number in range(1, 39)}


def _span(row: str) -> list[str]:
    first, _, last = row.replace("L", "").partition("-")
    return [f"L{number}" for number in range(int(first), int(last or first) + 1)]
