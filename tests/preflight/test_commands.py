"""`meshtest preflight` and `meshtest plan`: what they print, what they return."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from meshtest.cli import main
from tests.cli.conftest import WEB

BAD = WEB.replace("subset: v2}", "subset: v3}")
MISSPELT = WEB.replace("  hosts: [web,", "  host: [web]\n  hosts: [web,")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "bad.yaml").write_text(BAD)
    return tmp_path


Capture = pytest.CaptureFixture[str]


class TestPreflight:
    def test_clean_manifests_are_0(self, folder: Path, capsys: Capture) -> None:
        assert main(["preflight", "web.yaml"]) == 0
        assert capsys.readouterr().out == ("4 notes in 6 objects (--all lists notes and what is silenced)\n")

    def test_an_error_is_1_and_told_with_its_line(self, folder: Path, capsys: Capture) -> None:
        assert main(["preflight", "bad.yaml"]) == 1
        out = capsys.readouterr().out
        assert "    40  error IST0101 VirtualService default/web\n" in out
        assert "\033" not in out

    def test_the_threshold_can_be_lowered(self, folder: Path, capsys: Capture) -> None:
        assert main(["preflight", "web.yaml", "--fail-on", "info"]) == 1

    def test_a_code_can_be_left_out(self, folder: Path, capsys: Capture) -> None:
        assert main(["preflight", "bad.yaml", "--ignore", "IST0101"]) == 0

    def test_one_that_does_not_exist_is_bad_input(self, folder: Path, capsys: Capture) -> None:
        assert main(["preflight", "bad.yaml", "--ignore", "IST1010"]) == 4
        assert "there is no such code; did you mean IST0" in capsys.readouterr().err

    def test_unknown_fields_are_findings_too(self, folder: Path, capsys: Capture) -> None:
        (folder / "misspelt.yaml").write_text(MISSPELT)
        assert main(["preflight", "misspelt.yaml", "--format", "json"]) == 1
        told = json.loads(capsys.readouterr().out)
        (error,) = [f for f in told["findings"] if f["severity"] == "error"]
        assert (error["code"], error["object"]["name"]) == ("IST0106", "web")
        assert "`spec.host`" in error["message"]

    def test_what_cannot_be_read_is_4(self, folder: Path, capsys: Capture) -> None:
        (folder / "broken.yaml").write_text("kind: [")
        assert main(["preflight", "broken.yaml"]) == 4
        assert main(["preflight", "nowhere.yaml"]) == 4
        assert main(["preflight"]) == 4
        assert "Traceback" not in capsys.readouterr().err

    def test_sarif_is_one_document(self, folder: Path, capsys: Capture) -> None:
        assert main(["preflight", "bad.yaml", "--format", "sarif"]) == 1
        assert json.loads(capsys.readouterr().out)["version"] == "2.1.0"

    def test_with_what_is_applied_already_order_counts(self, folder: Path, capsys: Capture) -> None:
        first = WEB.replace(", {name: v2, labels: {version: v2}}", "").replace(
            "    - {destination: {host: web, subset: v2}, weight: 0}\n", ""
        )
        (folder / "old.yaml").write_text(first)
        assert main(["preflight", "web.yaml", "--from", "old.yaml", "--fail-on", "warning"]) == 1
        assert "MT010" in capsys.readouterr().out

    @pytest.mark.parametrize("format", ["text", "json", "sarif"])
    def test_rules_are_listed_without_files(self, format: str, capsys: Capture) -> None:
        assert main(["preflight", "--rules", "--format", format]) == 0
        assert "IST0101" in capsys.readouterr().out


class TestPlan:
    def test_the_steps_are_numbered_with_command_reason_and_wait(self, folder: Path, capsys: Capture) -> None:
        assert main(["plan", "web.yaml"]) == 0
        out = capsys.readouterr().out
        titles = [line.split(". ", 1)[1] for line in out.splitlines() if line[:3].strip().isdigit()]
        assert titles[:2] == ["apply Deployment default/web-v1", "apply Deployment default/web-v2"]
        assert titles.index("apply DestinationRule default/web") < titles.index("apply VirtualService default/web")
        assert titles.index("apply Gateway default/shop") < titles.index("apply VirtualService default/web")
        assert (
            '     $ yq \'select(.kind == "Service" and .metadata.name == "web")\' web.yaml | kubectl apply -f -' in out
        )
        assert out.endswith("6 steps\n")

    def test_the_same_again_is_nothing_to_do(self, folder: Path, capsys: Capture) -> None:
        assert main(["plan", "web.yaml", "--from", "web.yaml"]) == 0
        assert capsys.readouterr().out == "nothing to do: the manifests are the same\n"

    def test_steps_can_be_written_as_files(self, folder: Path, capsys: Capture) -> None:
        assert main(["plan", "web.yaml", "--out", "steps", "--format", "json"]) == 0
        steps = json.loads(capsys.readouterr().out)["steps"]
        assert steps[0]["command"] == "kubectl apply -f steps/01-deployment-web-v1.yaml"
        assert len(list((folder / "steps").iterdir())) == len(steps) == 6

    def test_a_change_in_two_edits_shows_the_one_between(self, folder: Path, capsys: Capture) -> None:
        (folder / "new.yaml").write_text(WEB.replace("v1", "v3"))
        assert main(["plan", "new.yaml", "--from", "web.yaml"]) == 0
        out = capsys.readouterr().out
        assert "extend DestinationRule default/web" in out
        assert "$ kubectl apply -f - <<'YAML'" in out
        assert "$ kubectl delete deployment.apps/web-v1 -n default" in out
