"""Before each apply the static rules have a look: what they find is recorded, and refused where that is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from meshtest import Mesh, Settings
from meshtest.errors import ManifestError, UsageError
from meshtest.run import Run
from meshtest.settings import resolve
from meshtest.testing import FakeProvider
from tests.mesh.conftest import WEB

MIRRORED = WEB.replace("  - route:", "  - mirror: {host: web, subset: v2}\n    route:")
ZERO = WEB.replace("weight: 100", "weight: 0")


def told(mesh: Mesh) -> list[tuple[str, str]]:
    return [(e.data["code"], e.subject) for e in mesh.run.history().of("preflight.finding")]


def test_findings_are_kept_and_go_into_the_history(bare: Mesh) -> None:
    bare.apply(text=MIRRORED)
    assert "MT004" in {finding.code for finding in bare.findings}
    assert told(bare) == [("MT004", "VirtualService default/web")]


def test_notes_are_kept_but_not_recorded(mesh: Mesh) -> None:
    assert {finding.code for finding in mesh.findings} == {"MT020", "MT021"}
    assert told(mesh) == []


def test_a_shift_is_not_examined(mesh: Mesh) -> None:
    before = mesh.findings
    mesh["web"].shift(v2=10)
    assert mesh.findings is before


def test_what_is_silenced_is_not_recorded(bare: Mesh) -> None:
    bare.apply(text=MIRRORED.replace("subset: v2}\n", "subset: v2}  # meshtest: ignore MT004 because it reads only\n"))
    assert told(bare) == []


def test_the_second_apply_knows_what_was_there(mesh: Mesh) -> None:
    third = WEB.replace("{name: v2, labels: {version: v2}}", "{name: v2, labels: {version: v2}}, {name: v3}")
    mesh.apply(text=third.replace("subset: v1}", "subset: v3}"))
    assert "MT010" in {finding.code for finding in mesh.findings}


def _mesh(tmp_path: Path, preflight: str) -> Mesh:
    settings = replace(Settings(reports=tmp_path, seed=7), preflight=preflight)
    return Mesh(FakeProvider(), Run("unit", settings, seed=7), settings)


def test_error_refuses_what_loses_requests_for_certain(tmp_path: Path) -> None:
    with _mesh(tmp_path, "error") as mesh, pytest.raises(ManifestError, match=r"Istio refuses|add up to 0"):
        mesh.apply(text=ZERO)


def test_error_lets_the_rest_pass(tmp_path: Path) -> None:
    with _mesh(tmp_path, "error") as mesh:
        mesh.apply(text=MIRRORED)
        assert told(mesh)


def test_off_is_off(tmp_path: Path) -> None:
    with _mesh(tmp_path, "off") as mesh:
        mesh.apply(text=MIRRORED)
        assert mesh.findings == ()
        assert told(mesh) == []


def test_another_word_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"'preflight' .*: 'loud' is none of off, warn, error"):
        resolve({"environment": {"preflight": "loud"}})
