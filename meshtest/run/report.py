"""What a stored run has for its reports: the record, the verdict, the changes of configuration, the logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshtest.checks import NoDowntime, cut_short, judge
from meshtest.errors import HistoryError
from meshtest.model.history import History
from meshtest.model.report import Change, RunReport
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.run import folder
from meshtest.run.stored import StoredRun

if TYPE_CHECKING:
    from meshtest.model.rehearsal import Rehearsal


def report_of(run: StoredRun) -> RunReport:
    """As the run was judged then; `meshtest judge` asks again. One that was cut short before that is judged now."""
    history = run.history()
    return RunReport(
        about=run.about,
        history=history,
        verdict=_whole(_verdict(run.path / folder.VERDICT), run, history),
        changes=tuple(_changes(run.path / "config")),
        logs={path.stem: path for path in sorted((run.path / "pods").glob("*.log"))},
        folder=run.path,
        rehearsals=tuple(rehearsals_of(run.path)),
    )


def _verdict(path: Path) -> Verdict:
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        return Verdict(())
    except ValueError as error:
        raise HistoryError(f"{path} is not JSON: {error}") from None
    try:
        return Verdict(tuple(Finding(**{**one, "outcome": Outcome[one["outcome"]]}) for one in data["findings"]))
    except (KeyError, TypeError):
        raise HistoryError(f"{path} is no verdict; `meshtest judge {path.parent}` makes one of the records") from None


def _whole(verdict: Verdict, run: StoredRun, history: History) -> Verdict:
    """What its checks do not say: that the record was cut short, or that the test itself found something wrong."""
    if history.truncated and not verdict.findings:
        return judge(history, [NoDowntime()])
    if history.truncated and all(finding.check != "history" for finding in verdict.findings):
        verdict = Verdict((*verdict.findings, cut_short(history)))
    return _with_the_test(verdict, run.about)


def _with_the_test(verdict: Verdict, about: Mapping[str, Any]) -> Verdict:
    """A plain assert that failed is a finding too, whatever the checks say."""
    error = about.get("error")
    if about.get("test") != "failed" or not error or about.get("outcome") != Outcome.FAIL.name:
        return verdict
    first = str(error).partition("\n")[0]
    own = Finding(check="test", outcome=Outcome.FAIL, sentence=first, figures={"message": str(error)})
    return Verdict((*verdict.findings, own))


def _changes(config: Path) -> Iterator[Change]:
    for path in sorted(path for path in config.glob("*.diff") if path.stem.isdecimal()):
        reason, _, text = path.read_text().partition("\n")
        yield Change(number=int(path.stem), reason=reason.removeprefix("# "), diff=text)


def rehearsals_of(run: Path) -> Iterator[Rehearsal]:
    """Of a run folder: `rehearsal.json`, and `rehearsal-2.json` and so on of those that came after it."""
    for path in sorted(run.glob("rehearsal*.json"), key=lambda path: (len(path.name), path.name)):
        from meshtest.model.rehearsal import Rehearsal

        try:
            yield Rehearsal.from_data(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise HistoryError(f"{path} is no rehearsal: {error}") from None
