"""Findings as text, JSON and SARIF: the same in each, in shapes that stay."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from meshtest.manifests.reader import read_text
from meshtest.preflight import CODES, Finding, examine
from meshtest.preflight.data import codes_data, findings_data
from meshtest.preflight.report import listing, report
from meshtest.preflight.sarif import sarif

SHOP = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - match: [{uri: {prefix: /v1}}]
    mirror: {host: web}  # meshtest: ignore MT004 because it reads only
    retries: {attempts: 2, retryOn: 5xx}
    route: [{destination: {host: wep}}]
"""


@pytest.fixture
def findings() -> Sequence[Finding]:
    return examine(read_text(SHOP, "my shop.yaml"))


class TestText:
    def test_errors_and_warnings_with_line_object_and_fix(self, findings: Sequence[Finding]) -> None:
        lines = report(findings, objects=2).splitlines()
        assert lines[0] == "my shop.yaml"
        assert "    14  warning MT012 VirtualService default/web" in lines
        assert "    15  error IST0101 VirtualService default/web" in lines
        assert "        -> Correct the name, or apply the missing object first." in lines
        assert lines[-1] == (
            "1 error, 1 warning, 1 note, 1 silenced in 2 objects (--all lists notes and what is silenced)"
        )

    def test_notes_and_silenced_ones_on_request(self, findings: Sequence[Finding]) -> None:
        text = report(findings, objects=2, everything=True)
        assert "    12  note MT006 " in text
        assert "    13  silenced MT004 " in text
        assert "because it reads only" in text

    def test_colours_only_when_asked_for(self, findings: Sequence[Finding]) -> None:
        assert "\033" not in report(findings, objects=2)
        assert "\033[31merror\033[0m" in report(findings, objects=2, color=True)

    def test_nothing_found(self) -> None:
        assert report([], objects=3) == "nothing found in 3 objects"

    def test_the_list_of_codes_has_them_all(self) -> None:
        text = listing(CODES)
        assert all(f"{code} " in text for code in CODES)


class TestJson:
    def test_the_shape_stays(self, findings: Sequence[Finding]) -> None:
        told = findings_data(findings)
        assert told["version"] == 1
        assert told["summary"] == {"error": 1, "warning": 1, "info": 1, "silenced": 1}
        (error,) = [f for f in told["findings"] if f["severity"] == "error"]
        assert error == {
            "code": "IST0101",
            "name": "ReferencedResourceNotFound",
            "severity": "error",
            "message": error["message"],
            "fix": CODES["IST0101"].fix,
            "file": "my shop.yaml",
            "line": 15,
            "object": {"kind": "networking.istio.io/VirtualService", "namespace": "default", "name": "web"},
            "analyzer": "virtualservice.DestinationHostAnalyzer",
            "silenced": None,
        }

    def test_so_does_that_of_the_rules(self) -> None:
        rules = codes_data(CODES)["rules"]
        assert [rule["code"] for rule in rules] == list(CODES)
        fields = {"code", "name", "severity", "says", "fix", "source", "certain"}
        assert all(rule.keys() == fields for rule in rules)


class TestSarif:
    @pytest.fixture
    def log(self, findings: Sequence[Finding]) -> dict[str, Any]:
        return sarif(findings, CODES, version="1.0")

    def test_rules_carry_their_help(self, log: dict[str, Any]) -> None:
        rules = log["runs"][0]["tool"]["driver"]["rules"]
        assert [rule["id"] for rule in rules] == ["IST0101", "MT004", "MT006", "MT012"]
        assert all(rule["help"]["text"] and rule["shortDescription"]["text"] for rule in rules)

    def test_results_point_at_rule_file_and_line(self, log: dict[str, Any]) -> None:
        run = log["runs"][0]
        for result in run["results"]:
            assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        (error,) = [result for result in run["results"] if result["level"] == "error"]
        where = error["locations"][0]["physicalLocation"]
        assert where == {"artifactLocation": {"uri": "my%20shop.yaml"}, "region": {"startLine": 15}}

    def test_what_is_silenced_is_suppressed_with_its_reason(self, log: dict[str, Any]) -> None:
        suppressed = [r for r in log["runs"][0]["results"] if "suppressions" in r]
        assert [r["suppressions"] for r in suppressed] == [[{"kind": "inSource", "justification": "it reads only"}]]

    def test_fingerprints_outlive_moved_lines(self, log: dict[str, Any]) -> None:
        moved = sarif(examine(read_text(f"# one line more\n{SHOP}", "my shop.yaml")), CODES)
        prints = [[r["partialFingerprints"] for r in one["runs"][0]["results"]] for one in (log, moved)]
        assert prints[0] == prints[1]

    def test_it_is_valid_by_the_official_schema(self, log: dict[str, Any]) -> None:
        jsonschema = pytest.importorskip("jsonschema")
        path = Path(os.environ.get("MESHTEST_SARIF_SCHEMA", ""))
        if not path.is_file():
            pytest.skip("set MESHTEST_SARIF_SCHEMA to sarif-schema-2.1.0.json of oasis-tcs/sarif-spec")
        jsonschema.validate(log, json.loads(path.read_text()))
        jsonschema.validate(sarif([], CODES), json.loads(path.read_text()))
