"""From metrics to a score, from a score to a verdict, and the JSON that Kayenta's clients read. Pure.

Rules: WeightedSumScorer, ThresholdScoreClassifier and ScoringHelper of spinnaker/kayenta.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from math import floor

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed
from meshtest.model.verdict import Outcome
from meshtest.rollouts.judge.classify import Classified, Label, classify
from meshtest.rollouts.judge.config import JudgeConfig
from meshtest.rollouts.judge.samples import Pair

NAME = "NetflixACAJudge-v1.0"
PASS, MARGINAL = 95.0, 75.0
"""Scores from which on a canary passes, or might."""
TOO_FEW = 50.0
"""Per cent of metrics without data from which on nothing has been judged."""


class Ruling(enum.StrEnum):
    """What the score comes to, in Kayenta's words."""

    PASS = "Pass"
    MARGINAL = "Marginal"
    FAIL = "Fail"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A canary."""

    score: float
    ruling: Ruling
    reason: str = ""
    groups: tuple[tuple[str, float], ...] = ()
    metrics: tuple[Classified, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Marginal is not known (so Argo takes it too); nor is what had no data: Kayenta fails that."""
        if self.ruling is Ruling.PASS:
            return Outcome.PASS
        without = [one for one in self.metrics if one.label is Label.NODATA and not one.config.muted]
        bad = any(one.label in (Label.HIGH, Label.LOW, Label.NODATA_FAILS) for one in self.metrics)
        if self.ruling is Ruling.MARGINAL or (without and not bad):
            return Outcome.UNKNOWN
        return Outcome.FAIL

    def as_data(self) -> dict[str, object]:
        """Kayenta's judgeResult."""
        return {
            "judgeName": NAME,
            "results": [one.as_data() for one in self.metrics],
            "groupScores": [
                {"name": name, "score": score, "classification": "", "classificationReason": ""}
                for name, score in self.groups
            ],
            "score": {
                "score": self.score,
                "classification": str(self.ruling),
                "classificationReason": self.reason,
            },
        }


def judge(
    config: JudgeConfig,
    pairs: Iterable[Pair],
    *,
    passes: float | None = None,
    marginal: float | None = None,
    compatible: bool = False,
) -> Judged:
    """The verdict. `compatible`: with the tolerance of Kayenta's solver, and what comes of it (mann_whitney.py)."""
    told = config.thresholds or (PASS, MARGINAL)
    passes, marginal = told[0] if passes is None else passes, told[1] if marginal is None else marginal
    if marginal > passes:
        raise UsageError(f"the marginal score {marginal:g} is above the one that passes, {passes:g}")
    by_name = {metric.name: metric for metric in config.metrics}
    found = []
    for pair in pairs:
        if pair.name not in by_name:
            raise UsageError(f"no metric {pair.name!r} in the config; there are: {listed(by_name)}")
        found.append(classify(by_name[pair.name], pair, compatible=compatible))
    score, groups, reason = scored(found, config.weights)
    ruling = Ruling.PASS if score >= passes else Ruling.MARGINAL if score >= marginal else Ruling.FAIL
    return Judged(score=score, ruling=ruling, reason=reason, groups=groups, metrics=tuple(found))


def scored(
    metrics: Sequence[Classified], weights: Mapping[str, float]
) -> tuple[float, tuple[tuple[str, float], ...], str]:
    """Score from 0 to 100, that of each group, and why it is 0 if a rule says so."""
    counted = [one for one in metrics if not one.config.muted]
    groups = _groups(counted)
    told = tuple((name, score or 0.0) for name, score in groups.items())
    if critical := [one for one in counted if one.critical and one.label is not Label.PASS]:
        return 0.0, told, f"Canary Failed: {critical[0].reason}"
    without = sum(one.label is Label.NODATA for one in counted)
    if counted and without / len(counted) * 100 >= TOO_FEW:
        return 0.0, told, f"Canary Failed: {TOO_FEW:.0f}% or more metrics returned NODATA"
    return _weighted(groups, weights), told, ""


def _groups(metrics: Iterable[Classified]) -> dict[str, float | None]:
    """The score of each; None if none of its metrics has data."""
    labels: dict[str, list[Label]] = {}
    for one in metrics:
        for group in one.config.groups:
            labels.setdefault(group, []).append(one.label)
    return {group: _share(found) for group, found in labels.items()}


def _share(labels: Sequence[Label]) -> float | None:
    total = sum(label not in (Label.NODATA, Label.ERROR) for label in labels)
    return labels.count(Label.PASS) / total * 100 if total else None


def _weighted(groups: Mapping[str, float | None], weights: Mapping[str, float]) -> float:
    """Groups without a weight share what is left of 100; one without data costs nothing."""
    rest = [group for group in groups if group not in weights]
    share = (100 - sum(weights.values())) / len(rest) if rest else 0.0
    total = sum(
        (100.0 if score is None else score) * weights.get(group, share) / 100 for group, score in groups.items()
    )
    return floor(total * 100 + 0.5 + 1e-9) / 100
