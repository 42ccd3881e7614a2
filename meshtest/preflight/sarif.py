"""Findings as SARIF 2.1.0 (OASIS), which code scanning of GitHub, GitLab and editors read.

Rules carry their help; silenced findings are results with a suppression, so that a dashboard shows the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from meshtest.model.diagnostic import Severity
from meshtest.preflight.finding import Finding
from meshtest.preflight.rules import Code

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(findings: Sequence[Finding], codes: Mapping[str, Code], *, version: str = "") -> dict[str, Any]:
    """One run, with the rules that have bitten."""
    used = sorted({finding.code for finding in findings})
    driver = {"name": "meshtest", "rules": [_rule(codes[code]) for code in used]}
    if version:
        driver["version"] = version
    run = {
        "tool": {"driver": driver},
        "columnKind": "utf16CodeUnits",
        "results": [_result(finding, used.index(finding.code)) for finding in findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.code,
        "name": code.name,
        "shortDescription": {"text": code.says},
        "fullDescription": {"text": f"{code.says} {code.fix}"},
        "help": {"text": f"{code.fix} Source: {code.source}.", "markdown": f"**{code.fix}**\n\nSource: {code.source}."},
        "defaultConfiguration": {"level": LEVELS[code.severity]},
    }


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": LEVELS[finding.severity],
        "message": {"text": f"{finding.message}. {finding.fix}"},
        "locations": [_location(finding)],
        "partialFingerprints": {"meshtest/v1": _fingerprint(finding)},
    }
    if finding.silenced is not None:
        suppression = {"kind": "inSource"}
        if finding.silenced:
            suppression["justification"] = finding.silenced
        result["suppressions"] = [suppression]
    return result


def _location(finding: Finding) -> dict[str, Any]:
    kind, namespace, name = finding.object
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(PurePath(finding.source.file).as_posix(), safe="/")},
            "region": {"startLine": max(1, finding.source.line)},
        },
        "logicalLocations": [{"name": name, "fullyQualifiedName": f"{kind}/{namespace}/{name}", "kind": "object"}],
    }


def _fingerprint(finding: Finding) -> str:
    """Stays the same when lines move: what is said of which object."""
    parts: Iterable[str] = (finding.code, *finding.object, finding.message)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
