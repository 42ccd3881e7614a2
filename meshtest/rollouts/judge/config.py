"""A canaryConfig of Kayenta, as far as its judge reads it: metrics, how each is judged, groups and their weights. Pure.

Defaults: NetflixACAJudge.scala of spinnaker/kayenta. What it silently takes for a default (`direction: up`) is an error
here, with its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.rollouts.judge.samples import OUTLIERS

DIRECTIONS = ("either", "increase", "decrease")


@dataclass(frozen=True, kw_only=True)
class MetricConfig:
    """How one metric is judged."""

    name: str
    groups: tuple[str, ...] = ()
    direction: str = "either"
    """In which a difference is bad."""
    critical: bool = False
    must_have_data: bool = False
    muted: bool = False
    """Told, not counted."""
    replace_nan: bool = False
    """Gaps count as 0; else they are left out."""
    outliers: float | None = None
    """Values further than so many times the distance of the quartiles from them are left out; None: all are kept."""
    by_superiority: bool = False
    """The effect is how often the canary's value is the greater (`cles`); else the ratio of the means."""
    allowed: tuple[float, float] = (1.0, 1.0)
    """Decrease and increase that an effect must reach to count."""
    too_much: tuple[float, float] = (1.0, 1.0)
    """Those that a critical metric must reach to fail the whole canary."""
    query: Mapping[str, Any] = field(default_factory=dict)
    """As written: for whoever asks."""
    scope: str = "default"


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """The whole of it."""

    name: str = ""
    metrics: tuple[MetricConfig, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of groups; those without one share what is left of 100."""
    thresholds: tuple[float, float] | None = None
    """Pass and marginal, where the config tells them (older ones do)."""
    templates: Mapping[str, str] = field(default_factory=dict)


def parse(data: Any, where: str = "canaryConfig") -> JudgeConfig:
    """UsageError names the place of what is wrong."""
    root = _Part(data, where)
    classifier = root.part("classifier")
    metrics = root.parts("metrics")
    if not metrics:
        raise UsageError(f"{where}.metrics: there are none to judge by")
    thresholds = classifier.part("scoreThresholds")
    weights = {
        group: classifier.part("groupWeights").number(group, 0.0) for group in classifier.part("groupWeights").data
    }
    _within_hundred(weights, f"{where}.classifier.groupWeights")
    return JudgeConfig(
        name=root.text("name"),
        metrics=tuple(_metric(one) for one in metrics),
        weights=weights,
        thresholds=(thresholds.number("pass", 95.0), thresholds.number("marginal", 75.0)) if thresholds.data else None,
        templates={name: str(text) for name, text in root.part("templates").data.items()},
    )


def _within_hundred(weights: Mapping[str, float], where: str) -> None:
    if sum(weights.values()) > 100 + 1e-9:
        raise UsageError(f"{where}: they add up to {sum(weights.values()):g}, more than 100")


def _metric(part: _Part) -> MetricConfig:
    canary = part.part("analysisConfigurations").part("canary")
    effect, outliers = canary.part("effectSize"), canary.part("outliers")
    by_superiority = effect.choice("measure", ("meanRatio", "cles")) == "cles"
    default = 0.5 if by_superiority else 1.0
    drops = outliers.choice("strategy", ("keep", "remove")) == "remove"
    return MetricConfig(
        name=part.text("name", required=True),
        groups=tuple(str(one) for one in part.data.get("groups") or ()),
        direction=canary.choice("direction", DIRECTIONS),
        critical=canary.flag("critical"),
        must_have_data=canary.flag("mustHaveData"),
        muted=canary.flag("muted"),
        replace_nan=canary.choice("nanStrategy", ("remove", "replace")) == "replace",
        outliers=outliers.number("outlierFactor", OUTLIERS) if drops else None,
        by_superiority=by_superiority,
        allowed=(effect.number("allowedDecrease", default), effect.number("allowedIncrease", default)),
        too_much=(effect.number("criticalDecrease", default), effect.number("criticalIncrease", default)),
        query=part.part("query").data,
        scope=part.text("scopeName") or "default",
    )


class _Part:
    """A mapping of the config, and where it stands."""

    def __init__(self, data: Any, where: str) -> None:
        if data is not None and not isinstance(data, Mapping):
            raise UsageError(f"{where}: a mapping is wanted, not {data!r}")
        self.data: Mapping[str, Any] = data or {}
        self._where = where

    def part(self, key: str) -> _Part:
        return _Part(self.data.get(key), f"{self._where}.{key}")

    def parts(self, key: str) -> list[_Part]:
        found = self.data.get(key) or []
        if not isinstance(found, list):
            raise UsageError(f"{self._where}.{key}: a list is wanted, not {found!r}")
        return [_Part(one, f"{self._where}.{key}[{index}]") for index, one in enumerate(found)]

    def text(self, key: str, *, required: bool = False) -> str:
        found = self.data.get(key)
        if required and not found:
            raise UsageError(f"{self._where}.{key} is missing")
        return str(found or "")

    def flag(self, key: str) -> bool:
        found = self.data.get(key, False)
        if not isinstance(found, bool):
            raise UsageError(f"{self._where}.{key}: true or false, not {found!r}")
        return found

    def number(self, key: str, default: float) -> float:
        found = self.data.get(key, default)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise UsageError(f"{self._where}.{key}: a number, not {found!r}")
        return float(found)

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        found = self.data.get(key) or allowed[0]
        if found not in (*allowed, "none"):
            hint = f" (did you mean {near!r}?)" if (near := nearest(str(found), allowed)) else ""
            raise UsageError(f"{self._where}.{key}: {found!r} is none of {listed(allowed)}{hint}")
        return allowed[0] if found == "none" else str(found)
