"""Findings and codes as JSON-like data, in a shape that stays: fields are added, never renamed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from meshtest.model.diagnostic import Severity
from meshtest.preflight.finding import Finding, loud
from meshtest.preflight.rules import Code

VERSION = 1


def findings_data(findings: Sequence[Finding]) -> dict[str, Any]:
    """`{"version", "summary", "findings"}`"""
    counts = Counter(finding.severity for finding in loud(findings))
    summary = {severity.name.lower(): counts[severity] for severity in reversed(Severity)}
    silenced = len(findings) - sum(counts.values())
    return {
        "version": VERSION,
        "summary": {**summary, "silenced": silenced},
        "findings": [finding_data(f) for f in findings],
    }


def finding_data(finding: Finding) -> dict[str, Any]:
    kind, namespace, name = finding.object
    return {
        "code": finding.code,
        "name": finding.name,
        "severity": finding.severity.name.lower(),
        "message": finding.message,
        "fix": finding.fix,
        "file": finding.source.file,
        "line": finding.source.line,
        "object": {"kind": kind, "namespace": namespace, "name": name},
        "analyzer": finding.analyzer,
        "silenced": finding.silenced,
    }


def codes_data(codes: Mapping[str, Code]) -> dict[str, Any]:
    return {
        "version": VERSION,
        "rules": [
            {
                "code": code.code,
                "name": code.name,
                "severity": code.severity.name.lower(),
                "says": code.says,
                "fix": code.fix,
                "source": code.source,
                "certain": code.certain,
            }
            for code in codes.values()
        ],
    }
