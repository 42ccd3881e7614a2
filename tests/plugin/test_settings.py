"""Where a setting comes from, which source wins, and that the header says so. No mesh is started."""

from __future__ import annotations

import re

import pytest

NOTHING = "def test_nothing():\n    pass\n"


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [n for n in os.environ if n.startswith("MESHTEST_")]:
        monkeypatch.delenv(name)


def header(result: pytest.RunResult) -> list[str]:
    """The lines of the header that are ours."""
    lines = result.outlines
    start = next(n for n, line in enumerate(lines) if line.startswith("meshtest: "))
    more = [line for line in lines[start + 1 :] if line.startswith("  ")]
    return [lines[start], *more]


class TestPrecedence:
    def test_by_default_a_seed_is_drawn_and_printed(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(NOTHING)
        (line,) = header(pytester.runpytest())
        assert re.fullmatch(r"meshtest: provider envoy, seed \d+", line)

    def test_the_table_in_pyproject_comes_first(self, pytester: pytest.Pytester) -> None:
        pytester.makepyprojecttoml("[tool.meshtest]\nseed = 4\nstart-timeout = 3\n[tool.meshtest.images]\na = 'b'\n")
        pytester.makepyfile(NOTHING)
        assert header(pytester.runpytest()) == [
            "meshtest: provider envoy, seed 4",
            "  seed = 4 (configuration)",
            "  start_timeout = 3.0 (configuration)",
            "  images = {'a': 'b'} (configuration)",
        ]

    def test_ini_options_go_over_it(self, pytester: pytest.Pytester) -> None:
        pytester.makepyprojecttoml(
            "[tool.pytest]\nmesh_seed = 5\nmesh_start_timeout = 2.5\nstrict = true\n"
            "[tool.meshtest]\nseed = 4\nkeep = 3\n"
        )
        pytester.makepyfile(NOTHING)
        told = header(pytester.runpytest())
        assert told[0] == "meshtest: provider envoy, seed 5"
        assert set(told[1:]) == {
            "  seed = 5 (configuration)",
            "  start_timeout = 2.5 (configuration)",
            "  keep = 3 (configuration)",
        }

    def test_the_environment_goes_over_configuration(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytester.makepyprojecttoml("[tool.pytest]\nmesh_seed = 5\n")
        pytester.makepyfile(NOTHING)
        monkeypatch.setenv("MESHTEST_SEED", "6")
        assert header(pytester.runpytest()) == ["meshtest: provider envoy, seed 6", "  seed = 6 (environment)"]

    def test_the_command_line_goes_over_everything(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytester.makepyprojecttoml("[tool.pytest]\nmesh_seed = 5\n")
        pytester.makepyfile(NOTHING)
        monkeypatch.setenv("MESHTEST_SEED", "6")
        told = header(pytester.runpytest("--mesh-seed=7"))
        assert told == ["meshtest: provider envoy, seed 7", "  seed = 7 (command line)"]

    def test_a_mark_goes_over_the_fixture_and_that_over_configuration(self, pytester: pytest.Pytester) -> None:
        """The provider is not installed, so the error names what was chosen, and nothing is started."""
        pytester.makepyprojecttoml("[tool.meshtest]\nprovider = 'of-configuration'\n")
        pytester.makepyfile(
            "import pytest\n"
            "@pytest.fixture(scope='session')\n"
            "def mesh_options():\n"
            "    return {'provider': 'of-fixture'}\n"
            "def test_a(mesh): pass\n"
            "@pytest.mark.mesh(provider='of-mark')\n"
            "def test_b(mesh): pass\n"
            "@pytest.mark.mesh(provider='of-class')\n"
            "class TestC:\n"
            "    def test_c(self, mesh): pass\n"
            "    @pytest.mark.mesh(provider='of-method')\n"
            "    def test_d(self, mesh): pass\n"
        )
        result = pytester.runpytest("-q")
        result.assert_outcomes(errors=4)
        named = re.findall(r"^E .*no provider '([a-z-]+)'; installed: envoy", str(result.stdout), re.MULTILINE)
        assert named == ["of-fixture", "of-mark", "of-class", "of-method"]

    @pytest.mark.parametrize("how", ["command line", "environment"])
    def test_both_go_over_a_mark(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
        pytester.makepyfile("import pytest\n@pytest.mark.mesh(provider='of-mark')\ndef test_b(mesh): pass\n")
        if how == "environment":
            monkeypatch.setenv("MESHTEST_PROVIDER", "stronger")
        result = pytester.runpytest("-q", *(["--mesh-provider=stronger"] if how == "command line" else []))
        assert "no provider 'stronger'; installed: envoy" in str(result.stdout)

    def test_two_marks_of_one_module_are_laid_over_each_other(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            "import pytest\n"
            "pytestmark = pytest.mark.mesh(provider='of-module', keep=3)\n"
            "@pytest.mark.mesh(provider='of-test')\n"
            "def test_b(mesh): pass\n"
        )
        assert "no provider 'of-test'" in str(pytester.runpytest("-q").stdout)


class TestMistakes:
    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("[tool.meshtest]\nsead = 4", "unknown setting 'sead' (configuration); did you mean 'seed'?"),
            ("[tool.meshtest]\nzzz = 4", "unknown setting 'zzz' (configuration); known: provider, reports, seed"),
            ("[tool.meshtest]\nseed = 'four'", "setting 'seed' (configuration): 'four' is not a valid int"),
            ("[tool.meshtest]\nkeep = 'all'", "setting 'keep' (configuration): 'all' is not a valid int"),
            ("[tool.meshtest]\nstart_timeout = 'soon'", "'soon' is not a valid float"),
            ("[tool.meshtest]\nimages = 3", "setting 'images' (configuration): 3 is not a valid dict"),
        ],
    )
    def test_in_pyproject(self, pytester: pytest.Pytester, table: str, message: str) -> None:
        pytester.makepyprojecttoml(table)
        pytester.makepyfile(NOTHING)
        result = pytester.runpytest()
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert str(result.stderr).startswith("ERROR: ")
        assert message in str(result.stderr)

    def test_in_the_environment(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        pytester.makepyfile(NOTHING)
        monkeypatch.setenv("MESHTEST_KEEP", "many")
        result = pytester.runpytest()
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        assert "setting 'keep' (environment): 'many' is not a valid int" in str(result.stderr)

    def test_on_the_command_line(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(NOTHING)
        assert pytester.runpytest("--mesh-seed=x").ret == pytest.ExitCode.USAGE_ERROR
        assert pytester.runpytest("--mesh-sead=3").ret == pytest.ExitCode.USAGE_ERROR

    def test_in_an_ini_option(self, pytester: pytest.Pytester) -> None:
        pytester.makepyprojecttoml("[tool.pytest]\nmesh_seed = 'five'\n")
        pytester.makepyfile(NOTHING)
        assert pytester.runpytest().ret == pytest.ExitCode.USAGE_ERROR

    def test_in_a_mark_it_is_an_error_of_that_test(self, pytester: pytest.Pytester) -> None:
        pytester.makepyfile(
            "import pytest\n@pytest.mark.mesh(start_timout=3)\ndef test_a(mesh): pass\ndef test_b(): pass\n"
        )
        result = pytester.runpytest("-q")
        assert "unknown setting 'start_timout' (marker); did you mean 'start_timeout'?" in str(result.stdout)
        result.assert_outcomes(passed=1, errors=1)

    def test_variables_of_other_tools_are_none_of_our_business(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytester.makepyfile(NOTHING)
        monkeypatch.setenv("MESHTEST_SOMETHING_ELSE", "1")
        assert pytester.runpytest().ret == pytest.ExitCode.OK


class TestRegistration:
    def test_options_and_marks_are_in_the_help(self, pytester: pytest.Pytester) -> None:
        text = str(pytester.runpytest("--help").stdout)
        for name in ("--mesh-provider", "--mesh-seed", "--mesh-start-timeout", "mesh_seed", "mesh_manifests"):
            assert name in text
        marks = str(pytester.runpytest("--markers").stdout)
        for mark in ("mesh(**settings)", "mesh_apply(*patterns)", "mesh_requires(*features)"):
            assert f"@pytest.mark.{mark}: " in marks
        fixtures = str(pytester.runpytest("--fixtures").stdout)
        for fixture in ("mesh_options [session scope]", "mesh_session [session scope]", "mesh -- "):
            assert fixture in fixtures

    def test_naming_it_again_in_a_conftest_does_no_harm(self, pytester: pytest.Pytester) -> None:
        pytester.makeconftest("pytest_plugins = ['pytest_meshtest.plugin']")
        pytester.makepyfile(NOTHING)
        pytester.runpytest_subprocess("-q").assert_outcomes(passed=1)
