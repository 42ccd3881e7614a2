"""Settings from several sources: which wins, what is refused, and that the origin of each is known. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from meshtest import Settings, UsageError
from meshtest.settings import SOURCES, from_environment, from_pyproject, resolve


def test_the_strongest_source_wins_and_is_named() -> None:
    layers = {source: {"seed": number} for number, source in enumerate(SOURCES)}
    for source in SOURCES[:-1]:
        resolved = resolve(layers)
        assert resolved.settings.seed == SOURCES.index(source)
        assert resolved.explain() == [f"seed = {resolved.settings.seed} ({source})"]
        del layers[source]


def test_without_any_source_everything_is_at_its_default() -> None:
    resolved = resolve({})
    assert resolved.settings == Settings()
    assert resolved.explain() == []
    assert set(resolved.origins.values()) == {"default"}


def test_none_means_not_given() -> None:
    resolved = resolve({"command line": {"seed": None}, "environment": {"seed": "6"}})
    assert (resolved.settings.seed, resolved.origins["seed"]) == (6, "environment")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("seed", "7", 7),
        ("start_timeout", "2.5", 2.5),
        ("start_timeout", 3, 3.0),
        ("keep", "5", 5),
        ("reports", "elsewhere", Path("elsewhere")),
        ("provider", "istio", "istio"),
        ("images", {"a": "b"}, {"a": "b"}),
        ("calls", {"web": "http://reviews:9080/"}, {"web": ("http://reviews:9080/",)}),
        ("calls", {"web": ["a", "b"]}, {"web": ("a", "b")}),
        ("ingress_ports", {"80": 8080}, {"80": 8080}),
    ],
)
def test_values_become_their_type(name: str, given: Any, expected: Any) -> None:
    assert getattr(resolve({"configuration": {name: given}}).settings, name) == expected


@pytest.mark.parametrize(
    ("name", "given", "kind"),
    [("seed", "x", "int"), ("keep", "many", "int"), ("apply_timeout", "soon", "float"), ("images", 3, "dict")],
)
def test_what_cannot_is_refused_with_name_source_and_kind(name: str, given: Any, kind: str) -> None:
    with pytest.raises(UsageError, match=rf"^setting '{name}' \(environment\): {given!r} is not a valid {kind}$"):
        resolve({"environment": {name: given}})


@pytest.mark.parametrize("given", [0, 1, "2", -0.1])
def test_an_error_is_a_probability(given: object) -> None:
    with pytest.raises(UsageError, match=r"^setting 'error' \(marker\): .* is no probability, such as 0.001$"):
        resolve({"marker": {"error": given}})


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^unknown setting 'sead' \(marker\); did you mean 'seed'\?$"):
        resolve({"marker": {"sead": 1}})
    with pytest.raises(UsageError, match=r"^unknown setting 'zzz' \(marker\); known: provider, reports, seed, "):
        resolve({"marker": {"zzz": 1}})


def test_the_environment_tells_only_what_it_knows() -> None:
    environ = {"MESHTEST_START_TIMEOUT": "5", "MESHTEST_WHATEVER": "1", "SEED": "2"}
    assert from_environment(environ) == {"start_timeout": "5"}


class TestPyproject:
    def test_the_nearest_above_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text(
            "[tool.meshtest]\nstart-timeout = 4\n[tool.meshtest.images]\na = 'b'\n"
        )
        below = tmp_path / "deep" / "down"
        below.mkdir(parents=True)
        assert from_pyproject(below) == {"start_timeout": 4, "images": {"a": "b"}}

    def test_one_without_our_table_hides_those_further_up(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.meshtest]\nseed = 4\n")
        below = tmp_path / "down"
        below.mkdir()
        (below / "pyproject.toml").write_text("[project]\nname = 'x'\n")
        assert from_pyproject(below) == {}

    def test_one_that_is_not_toml_is_refused_with_its_path(self, tmp_path: Path) -> None:
        (tmp_path / "pyproject.toml").write_text("[tool.meshtest\n")
        with pytest.raises(UsageError, match=rf"^{tmp_path}/pyproject.toml: not valid TOML: "):
            from_pyproject(tmp_path)
