"""Is a metric of the canary higher or lower than the baseline's, by as much as matters? Pure.

Kayenta's MannWhitneyClassifier as NetflixACAJudge-v1.0 uses it. On purpose not as there:

    relative tolerance   the verdict does not depend on the unit (mann_whitney.py); `compatible` restores what it was
    two constants        are compared as they are: Kayenta adds random noise, so the last digits differ each time
    shift of zero        with more ties than not, the test itself decides; Kayenta leaves it to the error of its solver
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from math import isnan

from meshtest.lib.dataclass import dataclass
from meshtest.rollouts.judge.config import MetricConfig
from meshtest.rollouts.judge.mann_whitney import Shift, shift, superiority
from meshtest.rollouts.judge.samples import Pair, cleaned, mean_ratio, summary

TOLERANCE = 0.25
"""Of the estimated shift: the interval must stay that far from zero."""
CONFIDENCE = 0.98


class Label(enum.StrEnum):
    """What came of a metric, in Kayenta's words."""

    PASS = "Pass"
    HIGH = "High"
    LOW = "Low"
    NODATA = "Nodata"
    NODATA_FAILS = "NodataFailMetric"
    ERROR = "Error"


@dataclass(frozen=True, kw_only=True)
class Classified:
    """One metric."""

    config: MetricConfig
    label: Label
    reason: str = ""
    ratio: float = 1.0
    """Of the means; 1 where they were not compared."""
    critical: bool = False
    """It fails the whole canary."""
    pair: Pair
    """Cleaned."""

    def as_data(self) -> dict[str, object]:
        """Kayenta's CanaryAnalysisResult."""
        data: dict[str, object] = {
            "name": self.config.name,
            "id": self.config.name,
            "tags": dict(self.pair.tags),
            "classification": str(self.label),
            "groups": list(self.config.groups),
            "experimentMetadata": {"stats": summary(self.pair.canary)},
            "controlMetadata": {"stats": summary(self.pair.baseline)},
            "resultMetadata": {"ratio": "NaN" if isnan(self.ratio) else self.ratio},
            "critical": self.critical,
            "muted": self.config.muted,
        }
        return data | ({"classificationReason": self.reason} if self.reason else {})


def classify(
    config: MetricConfig,
    pair: Pair,
    *,
    tolerance: float = TOLERANCE,
    confidence: float = CONFIDENCE,
    compatible: bool = False,
) -> Classified:
    """The verdict on one metric."""
    baseline, canary = (
        cleaned(values, replace_nan=config.replace_nan, outliers=config.outliers)
        for values in (pair.baseline, pair.canary)
    )
    kept = Pair(name=pair.name, baseline=baseline, canary=canary, tags=pair.tags)
    if not baseline or not canary:
        label, reason, critical = _without_data(config)
        return Classified(config=config, pair=kept, label=label, reason=reason, critical=critical)
    if sorted(baseline) == sorted(canary):
        same = "The Canary and Baseline data are identical"
        return Classified(config=config, pair=kept, label=Label.PASS, reason=same)
    if len({*baseline, *canary}) == 1:
        return Classified(config=config, pair=kept, label=Label.PASS)
    found = shift(canary, baseline, confidence, compatible=compatible)
    return _compared(config, kept, _side(found, tolerance, compatible))


def _without_data(config: MetricConfig) -> tuple[Label, str, bool]:
    """Gaps that count as 0 pass; a metric that must have data fails by itself, one that is critical fails it all."""
    if config.replace_nan:
        return Label.PASS, "", False
    reason = f"Missing data for {config.name}"
    if config.must_have_data and not config.critical:
        return Label.NODATA_FAILS, reason, False
    return Label.NODATA, reason, config.critical


def _side(found: Shift, tolerance: float, compatible: bool) -> int:
    """1: higher for sure, -1: lower, 0: neither."""
    bound = tolerance * abs(found.estimate)
    if found.estimate == 0 and not compatible:
        return found.side
    return (found.low > bound) - (found.high < -bound)


def _compared(config: MetricConfig, pair: Pair, side: int) -> Classified:
    ratio = mean_ratio(pair.canary, pair.baseline)
    effect = superiority(pair.canary, pair.baseline) if config.by_superiority else ratio
    wrong = {1: ("increase", "either"), -1: ("decrease", "either"), 0: ()}[side]
    if config.direction not in wrong or not _enough(effect, side, config.allowed):
        return Classified(config=config, pair=pair, label=Label.PASS, ratio=ratio)
    label = Label.HIGH if side > 0 else Label.LOW
    critical = config.critical and _enough(effect, side, config.too_much)
    reason = f"{config.name} was classified as {label}"
    reason = f"The metric {reason} (Critical)" if critical else reason
    return Classified(config=config, pair=pair, label=label, reason=reason, ratio=ratio, critical=critical)


def _enough(effect: float, side: int, limits: Sequence[float]) -> bool:
    """Limits are (decrease, increase). An effect that has no size is one."""
    if isnan(effect):
        return True
    return effect >= limits[1] if side > 0 else effect <= limits[0]
