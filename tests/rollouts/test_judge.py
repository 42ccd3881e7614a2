"""The judge that is compatible with Kayenta's. Figures called golden are those of its own tests (MannWhitneySuite,
ClassifierSuite, ScorerSuite, DetectorSuite, StatisticSuite of spinnaker/kayenta)."""

from __future__ import annotations

import random
from typing import Any

import pytest

from meshtest.errors import UsageError
from meshtest.model.verdict import Outcome
from meshtest.rollouts.judge.classify import Label, classify
from meshtest.rollouts.judge.config import MetricConfig, parse
from meshtest.rollouts.judge.mann_whitney import shift, superiority
from meshtest.rollouts.judge.samples import Pair, cleaned, mean_ratio, percentile, summary, without_outliers
from meshtest.rollouts.judge.score import Judged, Ruling, judge

NAN = float("nan")
SCIPY = ((5, 7, 0.7714286, False), (20, 12, 0.6354167, False), (40, 41, 0.6963415, True))
FIVE = [1.0, 2.0, 3.0, 4.0, 5.0]


def rates(mean: float, unit: float, seed: int, n: int = 60) -> list[float]:
    draw = random.Random(seed)
    return [draw.gauss(mean, mean / 5) * unit for _ in range(n)]


class TestShift:
    @pytest.mark.parametrize("compatible", [False, True])
    def test_golden(self, compatible: bool) -> None:
        found = shift([10, 20, 30, 40], [1, 2, 3, 4], 0.95, compatible=compatible)
        assert found[:3] == pytest.approx((6.0, 39.0, 22.5), abs=1e-9)

    def test_as_scipy_has_it(self) -> None:
        """Of scipy.stats.mannwhitneyu(method="asymptotic") 1.17: statistic / pairs, and whether its p is below 5 %."""
        draw = random.Random(3)
        for n, m, effect, differs in SCIPY:
            x = [round(draw.gauss(1.0, 1), 1) for _ in range(n)]  # rounded: there are ties
            y = [round(draw.gauss(0.0, 1), 1) for _ in range(m)]
            found = shift(x, y, 0.95)
            differences = sorted(a - b for a in x for b in y)
            middle = (differences[(n * m - 1) // 2] + differences[n * m // 2]) / 2
            assert found.estimate == pytest.approx(middle, abs=1e-9)
            assert superiority(x, y) == pytest.approx(effect)
            assert (found.side != 0) is differs
            assert (found.low > 0) is differs

    @pytest.mark.parametrize("seed", [0, 2, 3])
    def test_the_unit_does_not_matter_but_to_kayenta(self, seed: int) -> None:
        """60 errors in a million against 20, as a ratio and in ppm."""
        verdicts = {}
        for compatible in (False, True):
            for unit in (1e-6, 1.0):
                canary, baseline = rates(60, unit, seed), rates(20, unit, seed + 100)
                pair = Pair(name="errors", baseline=baseline, canary=canary)
                verdicts[compatible, unit] = classify(MetricConfig(name="errors"), pair, compatible=compatible).label
        assert verdicts[False, 1e-6] is verdicts[False, 1.0] is Label.HIGH
        assert verdicts[True, 1.0] is Label.HIGH
        assert verdicts[True, 1e-6] is Label.PASS, "three times as many errors"

    def test_values_that_differ_by_rounding_are_ties(self) -> None:
        found = shift([1.6666666666666572] * 5, [1.6666666666666714] * 4 + [0.0], 0.95)
        assert found.estimate == 0.0

    def test_constants(self) -> None:
        assert shift([10.0] * 5, [1.0] * 5, 0.98)[:3] == (9.0, 9.0, 9.0)


CASES: list[tuple[str, list[float], list[float], dict[str, Any], Label, bool]] = [
    ("tied", [1, 1, 1], [1, 1], {}, Label.PASS, False),
    ("identical", FIVE, FIVE[::-1], {}, Label.PASS, False),
    ("a leading zero", [0, 1, 1, 1, 1], [1] * 5, {"direction": "decrease"}, Label.PASS, False),
    ("most are tied", [1, 1, 1, 1, 10], [1] * 5, {}, Label.PASS, False),
    ("two constants", [10] * 5, [1] * 5, {}, Label.HIGH, False),
    ("against zero", [10] * 5, [0] * 5, {}, Label.HIGH, False),
    ("zero against", [0] * 5, [54.9, 54.5, 55.1, 55.6, 57.4], {"allowed": (0.8, 1.2)}, Label.LOW, False),
    ("no data", [], FIVE, {}, Label.NODATA, False),
    ("no data, critical", [], FIVE, {"critical": True}, Label.NODATA, True),
    ("no data that must be", [], FIVE, {"must_have_data": True}, Label.NODATA_FAILS, False),
    ("must be, and critical", [], FIVE, {"must_have_data": True, "critical": True}, Label.NODATA, True),
    ("no data is zero", [], FIVE, {"replace_nan": True}, Label.PASS, False),
    ("high", [20, 22, 21, 25, 30], [1, 2.2, 1.1, 2.5, 3], {}, Label.HIGH, False),
    ("not a bad direction", [20, 22, 21, 25, 30], [1, 2.2, 1.1, 2.5, 3], {"direction": "decrease"}, Label.PASS, False),
    ("low", [2, 2, 2, 2, 3], [10, 20.2, 10.1, 20.5, 30], {}, Label.LOW, False),
    ("allowed", [10, 12.2, 10.1, 12.5, 23], [20, 22, 21, 25, 30], {"allowed": (0.5, 1.0)}, Label.PASS, False),
    ("critical", [20, 22, 21, 25, 30], [1, 2.2, 1.1, 2.5, 3], {"critical": True}, Label.HIGH, True),
    ("critical at 13", [20, 22, 21, 25, 30], [1, 2.2, 1.1, 2.5, 3],
     {"critical": True, "allowed": (1, 5), "too_much": (1, 13)}, Label.HIGH, False),
    ("by superiority", [20, 22, 21, 25, 30], [1, 2.2, 1.1, 2.5, 3],
     {"by_superiority": True, "allowed": (0.2, 0.8)}, Label.HIGH, False),
]  # fmt: skip


@pytest.mark.parametrize("compatible", [False, True])
@pytest.mark.parametrize(("canary", "baseline", "config", "label", "critical"), [one[1:] for one in CASES],
                         ids=[one[0] for one in CASES])  # fmt: skip
def test_golden_classifications(
    canary: list[float], baseline: list[float], config: dict[str, Any], label: Label, critical: bool, compatible: bool
) -> None:
    found = classify(
        MetricConfig(name="m", **config), Pair(name="m", baseline=baseline, canary=canary), tolerance=0.1,
        confidence=0.95, compatible=compatible,
    )  # fmt: skip
    assert (found.label, found.critical) == (label, critical)


def test_rare_errors_of_which_there_are_more_are_found_though_their_median_is_zero() -> None:
    baseline, canary = [0.0] * 190 + [1.5] * 20, [0.0] * 145 + [1.7] * 65
    for compatible in (False, True):
        pair = Pair(name="errors", baseline=baseline, canary=canary)
        found = classify(MetricConfig(name="errors"), pair, compatible=compatible)
        assert found.label is Label.HIGH
    same = classify(MetricConfig(name="errors"), Pair(name="errors", baseline=baseline, canary=[0.0, *baseline]))
    assert same.label is Label.PASS


class TestSamples:
    def test_gaps_and_outliers(self) -> None:
        assert cleaned([1, NAN, 2], replace_nan=False, outliers=None) == [1, 2]
        assert cleaned([1, NAN, 2], replace_nan=True, outliers=None) == [1, 0, 2]
        assert without_outliers([21, 23, 24, 25, 50, 29, 23, 21], 1.5, cautious=False) == [21, 23, 24, 25, 29, 23, 21]
        assert without_outliers([1, 1, 1, 5, -1, -1, -1, -5], 1.5, cautious=False) == [1, 1, 1, -1, -1, -1]
        assert without_outliers([]) == []
        assert without_outliers([*[1.0] * 300, 1.1, 99.0]) == [*[1.0] * 300], "beyond the last percentile"

    def test_percentiles_are_those_of_r_type_7(self) -> None:
        assert percentile([0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5], 5) == pytest.approx(0.175)
        nist = [
            95.1772,
            95.1567,
            95.1937,
            95.1959,
            95.1442,
            95.061,
            95.1591,
            95.1195,
            95.1772,
            95.0925,
            95.199,
            95.1682,
        ]
        assert percentile(nist, 90) == pytest.approx(95.19568)

    def test_summaries_and_effects(self) -> None:
        found = summary([1, 1, 1, 10, 10, 10])
        assert found == {"min": 1, "max": 10, "mean": 5.5, "std": pytest.approx(4.9295, abs=1e-4), "count": 6}
        assert summary([])["count"] == 0
        assert mean_ratio([10] * 5, [100] * 5) == pytest.approx(0.1)
        assert mean_ratio([10], [0]) != mean_ratio([10], [0]), "NaN"
        assert superiority(FIVE, FIVE) == 0.5

    def test_an_infinite_value_is_refused(self) -> None:
        with pytest.raises(UsageError, match="metric m: a value is infinite"):
            Pair(name="m", baseline=[1.0], canary=[float("inf")])


GOOD, HIGH, NONE = [*FIVE], [value + 30 for value in FIVE], [NAN, NAN]


def scored(*metrics: tuple[list[float], str], weights: dict[str, float] | None = None, **more: Any) -> Judged:
    """Metrics of these values and groups; those that are tuples of three are told more of."""
    told = [
        {"name": f"m{i}", "groups": group.split(), "analysisConfigurations": {"canary": more.get(f"m{i}", {})}}
        for i, (_, group) in enumerate(metrics)
    ]
    config = parse({"metrics": told, "classifier": {"groupWeights": weights or {}}})
    pairs = [Pair(name=f"m{i}", baseline=FIVE, canary=values) for i, (values, _) in enumerate(metrics)]
    return judge(config, pairs)


class TestScores:
    @pytest.mark.parametrize(
        ("metrics", "weights", "score"),
        [
            ([(GOOD, "g")], {}, 100.0),
            ([(HIGH, "g")], {}, 0.0),
            ([(NONE, "g")], {}, 0.0),
            ([(GOOD, "a"), (GOOD, "a"), (NONE, "b")], {}, 100.0),
            ([(GOOD, "g"), (HIGH, "g")], {}, 50.0),
            ([(GOOD, "g"), (HIGH, "g"), (HIGH, "g")], {}, 33.33),
            ([(GOOD, "a"), (GOOD, "a"), (HIGH, "b")], {"a": 75, "b": 25}, 75.0),
            ([(GOOD, "a"), (HIGH, "a"), (HIGH, "b")], {"a": 50, "b": 50}, 25.0),
            ([(GOOD, "a"), (NONE, "a"), (HIGH, "b")], {"a": 50, "b": 50}, 50.0),
            ([(HIGH, "a"), (HIGH, "a"), (GOOD, "a"), (HIGH, "b")], {"a": 15, "b": 85}, 5.0),
            ([(GOOD, "a"), (HIGH, "b"), (GOOD, "c")], {"a": 40}, 70.0),
        ],
    )
    def test_golden(self, metrics: list[tuple[list[float], str]], weights: dict[str, float], score: float) -> None:
        assert scored(*metrics, weights=weights).score == score

    def test_one_critical_metric_is_enough(self) -> None:
        found = scored((GOOD, "g"), (HIGH, "g"), m1={"critical": True})
        assert (found.score, found.reason) == (0.0, "Canary Failed: The metric m1 was classified as High (Critical)")
        assert scored((GOOD, "g"), (NONE, "g"), m1={"critical": True}).score == 0.0
        assert scored((GOOD, "g"), (HIGH, "g"), m0={"critical": True}).score == 50.0

    def test_half_of_it_without_data_is_no_verdict_of_ours(self) -> None:
        found = scored((GOOD, "g"), (NONE, "g"))
        assert (found.score, found.ruling) == (0.0, Ruling.FAIL)
        assert found.reason == "Canary Failed: 50% or more metrics returned NODATA"
        assert found.outcome is Outcome.UNKNOWN
        assert scored((HIGH, "g"), (NONE, "g")).outcome is Outcome.FAIL
        assert scored((GOOD, "g"), (HIGH, "g"), (GOOD, "g"), (GOOD, "g"), (GOOD, "g")).outcome is Outcome.UNKNOWN

    def test_a_muted_metric_is_told_and_not_counted(self) -> None:
        found = scored((GOOD, "g"), (HIGH, "g"), m1={"muted": True})
        assert (found.score, found.metrics[1].label) == (100.0, Label.HIGH)

    def test_the_result_is_kayentas(self) -> None:
        data = scored((GOOD, "g"), (HIGH, "g")).as_data()
        assert data["judgeName"] == "NetflixACAJudge-v1.0"
        assert data["score"] == {"score": 50.0, "classification": "Fail", "classificationReason": ""}
        assert data["groupScores"] == [{"name": "g", "score": 50.0, "classification": "", "classificationReason": ""}]
        results = data["results"]
        assert isinstance(results, list)
        assert results[1]["classification"] == "High"
        assert results[1]["resultMetadata"]["ratio"] == pytest.approx(11.0)
        assert results[1]["experimentMetadata"]["stats"]["count"] == 5


class TestConfigs:
    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ([], "canaryConfig: a mapping is wanted"),
            ({}, "canaryConfig.metrics: there are none to judge by"),
            ({"metrics": [{}]}, r"canaryConfig\.metrics\[0\]\.name is missing"),
            ({"metrics": [{"name": "a", "analysisConfigurations": {"canary": {"direction": "increased"}}}]},
             r"\.canary\.direction: 'increased' is none of either, increase, decrease \(did you mean 'increase'\?\)"),
            ({"metrics": [{"name": "a", "analysisConfigurations": {"canary": {"critical": "yes"}}}]},
             r"\.critical: true or false, not 'yes'"),
            ({"metrics": [{"name": "a", "analysisConfigurations": {"canary": {"outliers": {"strategy": "remove",
              "outlierFactor": "3"}}}}]}, r"outlierFactor: a number, not '3'"),
            ({"metrics": [{"name": "a"}], "classifier": {"groupWeights": {"a": 60, "b": 60}}}, "add up to 120"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named_with_its_place(self, config: Any, message: str) -> None:
        with pytest.raises(UsageError, match=message):
            parse(config)

    def test_thresholds_and_unknown_metrics(self) -> None:
        config = parse({"metrics": [{"name": "a", "groups": ["g"]}]})
        with pytest.raises(UsageError, match="no metric 'b' in the config; there are: a"):
            judge(config, [Pair(name="b", baseline=[1], canary=[1])])
        with pytest.raises(UsageError, match="the marginal score 99 is above the one that passes, 95"):
            judge(config, [], marginal=99)
        assert judge(config, [Pair(name="a", baseline=[1], canary=[1])], passes=100).ruling is Ruling.PASS
