"""From how a run ended to its verdict; what proves nothing passes nothing."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from meshtest_k6.binary import find

from meshtest.errors import UsageError
from meshtest.webhook.jobs import Jobs
from meshtest.webhook.keeping import Ended
from meshtest.webhook.runs import RunState
from meshtest.webhook.store import Store
from meshtest.webhook.suites import Suite, load_suites
from meshtest.webhook.verdicts import LARGEST, LONGEST, line, verdict
from tests.webhook.cheap import PATIENCE, key

PASSED, FAILED, UNKNOWN = RunState.PASSED, RunState.FAILED, RunState.UNKNOWN
TESTS, K6, JUDGE = (Suite(name="smoke", path=Path(), kind=kind) for kind in ("tests", "k6", "judge"))  # type: ignore[arg-type]


def case(name: str, inside: str = "", outcome: str = "") -> str:
    told = f'<properties><property name="meshtest.outcome" value="{outcome}"/></properties>' if outcome else ""
    return f'<testcase name="{name}">{told}{inside}</testcase>'


def of(kind: str, message: str) -> str:
    return f'<{kind} message="{message}">long text</{kind}>'


LOST = of("failure", "meshtest.errors.RolloutFailed: FAIL: 3 of 900 requests lost")
FEW = of("failure", "meshtest.errors.RolloutFailed: UNKNOWN: too few requests")
OURS = of("failure", "meshtest.errors.ProcessFailed: envoy did not start")
FULL = of("failure", "OSError: [Errno 28] No space left on device: '/tmp/x'")
ERROR = of("error", "failed on setup with 'no cluster'")
SKIPPED = of("skipped", "needs a mirror")


@pytest.mark.parametrize(
    ("code", "cases", "state", "reason"),
    [
        (0, [case("a"), case("b")], PASSED, "2 tests passed"),
        (0, [case("a"), case("b", SKIPPED)], PASSED, "1 test passed, 1 skipped"),
        (0, [case("a", SKIPPED)], UNKNOWN, "nothing is proven: the only test was skipped: needs a mirror"),
        (0, [case("a", SKIPPED)] * 2, UNKNOWN, "nothing is proven: all 2 tests were skipped: needs a mirror"),
        (0, [], UNKNOWN, "pytest ended with 0, but there is no report of a test"),
        (1, [case("a"), case("b", of("failure", "assert 1 == 2"))], FAILED, "b: assert 1 == 2"),
        (1, [case("a", ERROR), case("b", LOST, "FAIL")], FAILED, "b: meshtest.errors.RolloutFailed: FAIL: 3 of 900"),
        (1, [case("a", of("failure", "x"))] * 3, FAILED, "a: x (3 of 3 tests)"),
        (1, [case("a", FEW, "UNKNOWN"), case("b")], UNKNOWN, "nothing is proven: a: meshtest.errors.RolloutFailed: U"),
        (1, [case("a", FEW, "UNKNOWN"), case("b", LOST, "FAIL")], FAILED, "b: meshtest.errors.RolloutFailed: FAIL"),
        (1, [case("a", of("failure", "assert 0"), "PASS")], FAILED, "a: assert 0"),
        (1, [case("a", ERROR)], UNKNOWN, "nothing is proven: a: failed on setup with 'no cluster'"),
        (1, [case("a", OURS)], UNKNOWN, "nothing is proven: a: meshtest.errors.ProcessFailed"),
        (1, [case("a", FULL)], UNKNOWN, "nothing is proven: a: OSError: [Errno 28]"),
        (1, [case("a", of("failure", "MemoryError")), case("b", LOST, "FAIL")], FAILED, "b: meshtest.errors.Rollout"),
        (1, [case("a", of("failure", "OSError: [Errno 113] No route to host"))], FAILED, "a: OSError: [Errno 113]"),
        (1, [], UNKNOWN, "nothing is proven: pytest ended with 1, and there is no whole report of the tests; its last"),
        (1, [case("a")], UNKNOWN, "nothing is proven: pytest ended with 1, and no test of the report has failed"),
        (2, [], UNKNOWN, "pytest was interrupted; its last line: the last line"),
        (4, [], UNKNOWN, "pytest was called wrongly; its last line: the last line"),
        (5, [], UNKNOWN, "pytest found no test; its last line: the last line"),
        (-9, [case("a")], UNKNOWN, "ended by SIGKILL; its last line: the last line"),
    ],
)
def test_of_pytest(tmp_path: Path, code: int, cases: list[str], state: RunState, reason: str) -> None:
    (tmp_path / "junit.xml").write_text(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
    (tmp_path / "output.txt").write_text("first\nthe last line\n\n")
    found = verdict(TESTS, tmp_path, Ended(code=code))
    assert found.state is state
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("left", [b"<testsuites><testsuite><testcase name='a'", b" " * (LARGEST + 1), b"", None])
def test_a_report_that_is_cut_or_too_large_is_none(tmp_path: Path, left: bytes | None, code: int) -> None:
    if left is not None:
        (tmp_path / "junit.xml").write_bytes(left)
    assert verdict(TESTS, tmp_path, Ended(code=code)).state is UNKNOWN


def test_a_report_that_the_machine_does_not_let_us_read_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_file_left(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "open", no_file_left)
    with pytest.raises(OSError, match="Too many open files"):
        verdict(TESTS, tmp_path, Ended(code=0))


def metrics(*, crossed: bool | None, iterations: int = 9) -> str:
    thresholds = {} if crossed is None else {"thresholds": {"p(99)<300": crossed}}
    return json.dumps({"metrics": {"iterations": {"count": iterations}, "http_req_duration": thresholds}})


@pytest.mark.parametrize(
    ("code", "summary", "state", "reason"),
    [
        (0, metrics(crossed=False), PASSED, "1 threshold held"),
        (99, metrics(crossed=True), FAILED, "thresholds crossed: http_req_duration p(99)<300"),
        (108, "", FAILED, "test aborted"),
        (0, metrics(crossed=None), UNKNOWN, "nothing is proven: the script declares no thresholds"),
        (0, metrics(crossed=False, iterations=0), UNKNOWN, "nothing is proven: no iteration"),
        (107, "", UNKNOWN, "k6 ended with 107; its last line: test aborted"),
        (0, "{", UNKNOWN, "nothing is proven"),
    ],
)
def test_of_k6(tmp_path: Path, code: int, summary: str, state: RunState, reason: str) -> None:
    (tmp_path / "summary.json").write_text(summary)
    (tmp_path / "output.txt").write_text("test aborted\n")
    found = verdict(K6, tmp_path, Ended(code=code))
    assert (found.state, found.reason[: len(reason)]) == (state, reason)


def test_of_the_judge_its_result_comes_before_its_last_line(tmp_path: Path) -> None:
    (tmp_path / "output.txt").write_text("noise")
    (tmp_path / "result.json").write_text('{"reason": "score 43 < 75"}')
    assert verdict(JUDGE, tmp_path, Ended(code=1)) == (FAILED, "score 43 < 75")
    (tmp_path / "result.json").write_text("[]")
    assert verdict(JUDGE, tmp_path, Ended(code=2)) == (UNKNOWN, "noise")


def test_a_reason_is_one_printable_line() -> None:
    assert line("a\x1b[31m\nb\t\0c") == "a [31m b c"
    assert len(line("x" * 5000)) == LONGEST
    assert line("x" * LONGEST) == "x" * LONGEST


# ---- the real ones


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "state")
    yield made
    made.close()


def run(state: Store, suites: Path, parameters: dict[str, str]) -> tuple[RunState, str]:
    known = load_suites(suites)
    jobs = Jobs(state, known, state.folder)
    jobs.start()
    try:
        ((name, suite),) = known.items()
        over = jobs.wait(jobs.submit(suite, key(name), suite.resolved(parameters)).id, 2 * PATIENCE)
    finally:
        jobs.close()
    return over.state, over.reason


def test_pytest_runs_a_suite_with_what_the_hook_gave(
    tmp_path: Path, state: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # those of others cost a second
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    folder = tmp_path / "suites" / "smoke"
    folder.mkdir(parents=True)
    (folder / "suite.yaml").write_text("parameters: {base-url: }\narguments: [-p, pytest_meshtest.plugin]\n")
    (folder / "test_it.py").write_text("def test_it(params): assert params['base_url'] == 'http://b'\n")
    found, reason = run(state, tmp_path / "suites", {"base-url": "http://a"})
    assert (found, reason[:24]) == (FAILED, "test_it: AssertionError:")
    assert sorted(path.name for path in folder.iterdir() if path.name != "__pycache__") == ["suite.yaml", "test_it.py"]


def test_k6_runs_a_script(tmp_path: Path, state: Store) -> None:
    try:
        find()
    except UsageError as error:
        pytest.skip(str(error))
    folder = tmp_path / "suites" / "load"
    folder.mkdir(parents=True)
    (folder / "suite.yaml").write_text("k6: it.js\nparameters: {times: }\n")
    (folder / "it.js").write_text(
        "import { Counter } from 'k6/metrics';\nconst times = new Counter('times');\n"
        "export const options = { iterations: 3, thresholds: { times: ['count<2'] } };\n"
        "export default () => times.add(Number(__ENV.MESHTEST_PARAM_TIMES));\n"
    )
    assert run(state, tmp_path / "suites", {"times": "1"}) == (FAILED, "thresholds crossed: times count<2")
