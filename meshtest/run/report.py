"""What a stored run has for its reports: the record, the verdict, the changes of configuration, the logs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from meshtest.errors import HistoryError
from meshtest.model.report import Change, RunReport
from meshtest.model.verdict import Finding, Outcome, Verdict
from meshtest.run import folder
from meshtest.run.stored import StoredRun


def report_of(run: StoredRun) -> RunReport:
    """As the run was judged then; `meshtest judge` asks again."""
    return RunReport(
        about=run.about,
        history=run.history(),
        verdict=_with_the_test(_verdict(run.path / folder.VERDICT), run.about),
        changes=tuple(_changes(run.path / "config")),
        logs={path.stem: path for path in sorted((run.path / "pods").glob("*.log"))},
        folder=run.path,
    )


def _verdict(path: Path) -> Verdict:
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        return Verdict(())
    except ValueError as error:
        raise HistoryError(f"{path} is not JSON: {error}") from None
    return Verdict(tuple(Finding(**{**one, "outcome": Outcome[one["outcome"]]}) for one in data["findings"]))


def _with_the_test(verdict: Verdict, about: Mapping[str, Any]) -> Verdict:
    """A plain assert that failed is a finding too, whatever the checks say."""
    error = about.get("error")
    if about.get("test") != "failed" or not error or about.get("outcome") != Outcome.FAIL.name:
        return verdict
    first = str(error).partition("\n")[0]
    own = Finding(check="test", outcome=Outcome.FAIL, sentence=first, figures={"message": str(error)})
    return Verdict((*verdict.findings, own))


def _changes(config: Path) -> Iterator[Change]:
    for path in sorted(config.glob("*.diff")):
        reason, _, text = path.read_text().partition("\n")
        yield Change(number=int(path.stem), reason=reason.removeprefix("# "), diff=text)
