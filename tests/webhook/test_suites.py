"""The allow-list: folders of tests, and what their suite.yaml may say."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from meshtest.errors import UsageError
from meshtest.webhook.runs import StoredRun
from meshtest.webhook.suites import Parameter, Suite, load_suites
from meshtest.webhook.work import work
from tests.webhook.cheap import key

WHOLE = """\
    about: |
      Checkout answers,
      and in time.
    timeout: 10m
    max-age: 90
    parameters:
      target: {about: URL of the canary, pattern: "http://[a-z.-]+", default: http://checkout-canary}
      token-name:
    namespaces: [shop, "shop-.*"]
    arguments: [-k, smoke]
    interrupted: rerun
"""


def suite(folder: Path, name: str, text: str | None = None, *, tests: bool = True) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    if tests:
        (path / "test_it.py").write_text("def test_it(): pass\n")
    if text is not None:
        (path / "suite.yaml").write_text(dedent(text))
    return path


def test_a_folder_with_tests_is_a_suite_of_its_name(tmp_path: Path) -> None:
    path = suite(tmp_path, "smoke")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "data").mkdir()
    assert load_suites(tmp_path) == {"smoke": Suite(name="smoke", path=path)}


def test_its_file_says_more(tmp_path: Path) -> None:
    path = suite(tmp_path, "smoke", WHOLE)
    target = Parameter(pattern="http://[a-z.-]+", default="http://checkout-canary", about="URL of the canary")
    assert load_suites(tmp_path)["smoke"] == Suite(
        name="smoke", path=path, about="Checkout answers, and in time.", timeout=600, namespaces=("shop", "shop-.*"),
        parameters={"target": target, "token-name": Parameter()}, arguments=("-k", "smoke"), rerun_interrupted=True,
        max_age=90,
    )  # fmt: skip


def test_a_script_of_k6_or_a_file_of_the_judge_makes_other_kinds(tmp_path: Path) -> None:
    (suite(tmp_path, "load", "k6: load.js", tests=False) / "load.js").touch()
    (suite(tmp_path, "score", "judge: judge.yaml", tests=False) / "judge.yaml").touch()
    suites = load_suites(tmp_path)
    assert [(one.kind, one.file) for one in suites.values()] == [("k6", "load.js"), ("judge", "judge.yaml")]


MISTAKES = [
    ("timeut: 3", "suite.yaml:1: unknown key 'timeut'; did you mean 'timeout'?"),
    ("zzz: 3", "suite.yaml:1: unknown key 'zzz'; known: about, timeout, max-age, parameters"),
    ("about: x\ntimeout: soon", "suite.yaml:2: timeout 'soon' is no time such as 90s, 10m or 1h"),
    ("timeout: 0", "suite.yaml:1: timeout 0 is no time"),
    ("timeout: true", "suite.yaml:1: timeout True is no time"),
    ("timeout: 999h", "of at most 168h"),
    ("about: [x]", "suite.yaml:1: about must be text"),
    ("arguments: -k smoke", "suite.yaml:1: arguments must be a list of words"),
    ("arguments: [--maxfail, 1]", "write numbers in quotes"),
    ("namespaces: []", "suite.yaml:1: namespaces must be a list of regular expressions"),
    ("namespaces:\n- shop\n- 'a('", "suite.yaml:3: 'a(' is no regular expression of RE2: missing ): a("),
    ("max-age: soon", "suite.yaml:1: max-age 'soon' is no time such as 90s, 10m or 1h, of at most 168h"),
    ("interrupted: maybe", "suite.yaml:1: interrupted must be rerun or hold, not 'maybe'"),
    ("parameters: [a]", "suite.yaml:1: parameters must be a mapping of names"),
    ("parameters:\n  Upper: {}", "suite.yaml:2: 'Upper' is no name for a parameter"),
    ("parameters:\n  a-b: {}\n  a_b: {}", "suite.yaml:2: parameters 'a-b' and 'a_b' would be the same variable"),
    ("parameters:\n  a: x", "suite.yaml:2: parameter 'a' must be a mapping of pattern, default, about, or empty"),
    ("parameters:\n  a:\n    patern: x", "suite.yaml:3: unknown key 'patern'; did you mean 'pattern'?"),
    ("parameters:\n  a:\n    default: 3", "suite.yaml:3: default of parameter 'a' must be text; write 3 in quotes"),
    ("parameters:\n  a:\n    pattern: '['", "suite.yaml:3: '[' is no regular expression of RE2"),
    ("parameters:\n  a:\n    pattern: x\n    default: y", "suite.yaml:4: the default of 'a' does not match x"),
    ("k6: ../../etc/passwd", "suite.yaml:1: k6 must name a file in the suite's folder; there is no '../../etc/passwd'"),
    ("k6: test_it.py\njudge: test_it.py", "suite.yaml:2: a suite has one kind of run, not both k6 and judge"),
    ("- a", "suite.yaml:1: must be one mapping"),
    ("a: 1\n---\nb: 1", "suite.yaml:1: must be one mapping"),
    ("a: [", "suite.yaml:2: error: malformed YAML"),
    ("about: a\nabout: b", "suite.yaml:2: error: malformed YAML: key 'about' is given twice"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    suite(tmp_path, "smoke", text)
    with pytest.raises(UsageError) as raised:
        load_suites(tmp_path)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    suite(tmp_path, "a", "timeout: x\nzzz: 1")
    suite(tmp_path, "Big_Name")
    with pytest.raises(UsageError) as raised:
        load_suites(tmp_path)
    lines = str(raised.value).splitlines()
    assert len(lines) == 3
    assert "'Big_Name' is no name for a suite" in lines[0]


def test_a_file_alone_must_say_what_runs(tmp_path: Path) -> None:
    suite(tmp_path, "empty", "about: nothing", tests=False)
    with pytest.raises(
        UsageError, match=r"suite.yaml:1: the folder has no test_\*.py, and the file names no k6, judge"
    ):
        load_suites(tmp_path)


def test_a_folder_without_suites_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no suite in it"):
        load_suites(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        load_suites(tmp_path / "none")


# ---- what a hook gives


def checkout(tmp_path: Path) -> Suite:
    suite(tmp_path, "smoke", WHOLE)
    return load_suites(tmp_path)["smoke"]


def test_parameters_are_given_or_have_their_default(tmp_path: Path) -> None:
    found = checkout(tmp_path).resolved({"token-name": "a"})
    assert found == {"target": "http://checkout-canary", "token-name": "a"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "suite 'smoke' needs the parameter 'token-name'"),
        ({"token-name": "a", "tokn": "b"}, "has no parameter 'tokn'; it has target, token-name"),
        ({"token-nam": "a"}, "has no parameter 'token-nam'; did you mean 'token-name'?"),
        ({"token-name": "a b"}, "parameter 'token-name' of suite 'smoke' must match [A-Za-z0-9]"),
        ({"token-name": "a\n"}, "must match"),
        ({"token-name": "$(id)"}, "must match"),
        ({"token-name": "../../etc"}, "must match"),
        ({"token-name": "a", "target": "xhttp://a"}, "must match http://"),
    ],
)
def test_others_are_refused_in_one_line(tmp_path: Path, given: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        checkout(tmp_path).resolved(given)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("value", ["\0", "a\x1b", "\ud800", "x" * 2000])
def test_no_pattern_lets_through_what_is_no_text(value: str) -> None:
    lax = Suite(name="lax", path=Path(), parameters={"any": Parameter(pattern=r"(?s).*")})
    with pytest.raises(UsageError, match="must match"):
        lax.resolved({"any": value})


def test_namespaces_match_whole(tmp_path: Path) -> None:
    found = checkout(tmp_path)
    admitted = [name for name in ("shop", "shop-eu", "workshop", "shops", "") if found.admits(name)]
    assert admitted == ["shop", "shop-eu"]
    assert Suite(name="any", path=Path()).admits("whatever")


# ---- what is started


def test_values_of_a_hook_reach_a_run_as_variables_and_in_no_word(tmp_path: Path) -> None:
    run = StoredRun(id="1", key=key(), parameters={"target": "$(id)", "token-name": "-x"})
    for kind in ("tests", "k6", "judge"):
        made = work(Suite(name="smoke", path=tmp_path, kind=kind, file="f"), run, tmp_path)  # type: ignore[arg-type]
        assert made.environment["MESHTEST_PARAM_TARGET"] == "$(id)"
        assert made.environment["MESHTEST_PARAM_TOKEN_NAME"] == "-x"
        assert not {"$(id)", "-x"} & set(made.command)
