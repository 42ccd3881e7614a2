"""Accepting a finding: where, with which reason, and what is said of silences that are none."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from meshtest.manifests.reader import read_text
from meshtest.manifests.remarks import remarks_of
from meshtest.preflight import Finding, examine, loud

SHOP = """\
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: web
  annotations: {{{annotations}}}
spec:
  hosts: [web]
  http:
  - route: [{{destination: {{host: web}}}}]
    {above}
    mirror: {{host: web}}{beside}
"""


def found(*, above: str = "timeout: 1s", beside: str = "", annotations: str = "") -> Sequence[Finding]:
    return examine(read_text(SHOP.format(above=above, beside=beside, annotations=annotations), "shop.yaml"))


def codes(findings: Sequence[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def test_without_a_word_it_is_loud() -> None:
    assert codes(loud(found())) == ["MT004"]


@pytest.mark.parametrize("because", ["because it reads only", ": it reads only", "- it reads only", "it reads only"])
def test_a_comment_on_the_line_silences_with_its_reason(because: str) -> None:
    findings = found(beside=f"  # meshtest: ignore MT004 {because}")
    assert codes(loud(findings)) == []
    assert [f.silenced for f in findings] == ["it reads only"]


def test_so_does_one_above_it() -> None:
    assert codes(loud(found(above="# meshtest: ignore MT004 because it reads only"))) == []


def test_and_an_annotation_for_the_whole_object() -> None:
    assert codes(loud(found(annotations='meshtest.dev/ignore: "MT004: it reads only"'))) == []


@pytest.mark.parametrize("value", ["MT004", "IST0101,MT004", "*"])
def test_istioctls_own_annotation_needs_no_reason(value: str) -> None:
    assert codes(loud(found(annotations=f'galley.istio.io/analyze-suppress: "{value}"'))) == []


def test_a_silence_without_a_reason_is_told() -> None:
    assert codes(loud(found(beside="  # meshtest: ignore MT004"))) == ["MT901"]


def test_a_silence_for_nothing_is_told() -> None:
    findings = loud(found(beside="  # meshtest: ignore MT004, MT003 because it reads only"))
    assert [(f.code, f.source.line) for f in findings] == [("MT902", 16)]
    assert "MT003" in findings[0].message


def test_a_silence_on_another_line_silences_nothing() -> None:
    text = SHOP.format(above="timeout: 1s", beside="", annotations="")
    findings = examine(read_text(f"# meshtest: ignore MT004 because it reads only\n{text}", "shop.yaml"))
    assert codes(loud(findings)) == ["MT902", "MT004"]


def test_a_code_that_does_not_exist_is_told_with_the_nearest() -> None:
    (finding,) = [f for f in found(beside="  # meshtest: ignore MT044 because x") if f.code == "MT903"]
    assert "there is no code MT044; did you mean MT" in finding.message


class TestRemarks:
    def test_one_beside_is_about_its_line(self) -> None:
        (remark,) = remarks_of("a: 1\nb: 2  # meshtest: ignore X because y\n")
        assert (remark.line, remark.about, remark.text) == (2, 2, "ignore X because y")

    def test_one_above_is_about_the_next_line_with_something_on_it(self) -> None:
        (remark,) = remarks_of("# meshtest: hello\n\n# more\na: 1\n")
        assert (remark.line, remark.about) == (1, 4)

    def test_a_word_in_a_string_is_none(self) -> None:
        assert remarks_of("a: 'meshtest: hello'\nb: x#meshtest: y\n") == ()
