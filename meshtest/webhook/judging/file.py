"""judge.yaml: whom to ask, about whom, and by which rules.

    prometheus: http://prometheus.istio-system:9090     # default: the setting prometheus
    provider: istio                     # whose metrics; or requests, errors, within: counters of your own
    canary: checkout                    # workloads; default: the canary that the hook names, and NAME-primary
    baseline: checkout-primary          # "" : judged by the rates alone
    latency: 500ms                      # slow answers count too; a bucket of the histogram must end there
    allowed: 0.1%                       # and worse, ratio, slow_allowed, slow_worse, alpha, beta, minimum (gate.py)
    every: 10s                          # between looks
    deadline: 10m                       # then it is inconclusive

Or by Kayenta's judge, once, over the deadline:

    canaryConfig: config.json           # its file, or the config itself
    thresholds: {pass: 95, marginal: 75}
    every: 60s                          # between values
    compatible: false                   # true: with the tolerance of Kayenta's solver

Every mistake is told with its file:line. Not here: what a query is filled in with (queries.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any

from meshtest.checks.rates import rate
from meshtest.errors import UsageError
from meshtest.lib.dataclass import dataclass
from meshtest.lib.words import listed, nearest
from meshtest.manifests import nodes
from meshtest.rollouts.judge.config import JudgeConfig, parse
from meshtest.rollouts.judge.gate import GateRules
from meshtest.webhook.judging.queries import Templates, of_provider

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_COUNTERS = ("requests", "errors", "within")
_SHARES = ("allowed", "worse", "slow_allowed", "slow_worse", "alpha", "beta")


@dataclass(frozen=True, kw_only=True)
class JudgeFile:
    """What one says."""

    path: Path
    prometheus: str = ""
    canary: str = "{{ name }}"
    baseline: str = "{{ name }}-primary"
    every: float = 10.0
    deadline: float = 600.0
    templates: Templates | None = None
    """None: by a canaryConfig."""
    rules: GateRules = field(default_factory=GateRules)
    config: JudgeConfig | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    location: str = ""
    compatible: bool = False


def read(path: Path) -> JudgeFile:
    """UsageError names the file and line of what is wrong."""
    try:
        roots = list(nodes.parse(path.read_text(encoding="utf-8"), str(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(roots) != 1 or not isinstance(roots[0].data, dict):
        raise UsageError(f"{path}:1: one mapping is wanted, such as `provider: istio`")
    return _Reading(path, roots[0].data, roots[0].lines).file()


class _Reading:
    """One file."""

    def __init__(self, path: Path, data: Mapping[str, Any], lines: Mapping[tuple[Any, ...], int]) -> None:
        self._path, self._data, self._lines = path, data, lines

    def file(self) -> JudgeFile:
        for key in self._data:
            if key not in _READERS:
                close = nearest(str(key), _READERS)
                hint = f"did you mean {close!r}?" if close else f"known: {listed(_READERS)}"
                raise self._wrong(key, f"unknown key {key!r}; {hint}")
        values = {key: self._value(key) for key in self._data}
        of_rules = {key: values.pop(key) for key in tuple(values) if key in _RULES}
        if "canaryConfig" in values:
            values["config"] = values.pop("canaryConfig")
            self._refuse(("provider", "latency", *_COUNTERS, *of_rules), "has no use beside a canaryConfig")
            return JudgeFile(path=self._path, **values)
        self._refuse(("thresholds", "compatible", "location"), "is for a canaryConfig, and there is none")
        made = {key: values.pop(key, None) for key in ("provider", "latency", *_COUNTERS)}
        templates = self._templates(made)
        rules = self._rules(of_rules, latency=bool(templates.within), compared=values.get("baseline") != "")
        found = JudgeFile(path=self._path, templates=templates, rules=rules, **values)
        if found.every >= found.deadline:
            key = "every" if "every" in values else "deadline"
            told = f"every {found.every:g} s, and a deadline of {found.deadline:g} s"
            raise self._wrong(key, f"{told}: what is counted lies between two looks, so there must be two before it")
        return found

    def _templates(self, made: Mapping[str, Any]) -> Templates:
        own = {key: made[key] for key in _COUNTERS if made[key]}
        if own and made["provider"]:
            raise self._wrong("provider", f"either provider or counters of your own ({listed(own)})")
        if not own:
            try:
                return of_provider(made["provider"] or "istio", made["latency"])
            except UsageError as error:
                raise self._wrong("provider", str(error)) from None
        if missing := [key for key in ("requests", "errors") if key not in own]:
            raise self._wrong(next(iter(own)), f"beside {listed(own)} there must be {listed(missing)}")
        self._refuse(("latency",), "is for a provider; with counters of your own write `within`")
        return Templates(**own)

    def _rules(self, given: Mapping[str, Any], **more: bool) -> GateRules:
        try:
            return GateRules(**given, **more)
        except UsageError as error:
            raise self._wrong(str(error).partition(" ")[0], str(error)) from None

    def _refuse(self, keys: tuple[str, ...], why: str) -> None:
        for key in keys:
            if key in self._data:
                raise self._wrong(key, f"{key} {why}")

    def _value(self, key: str) -> Any:
        try:
            return _READERS[key](self, key, self._data[key])
        except UsageError as error:
            raise self._wrong(key, str(error)) from None

    def _wrong(self, key: object, what: str) -> UsageError:
        text = what if what.startswith(str(self._path)) else f"{self._path}:{self._lines.get((key,), 1)}: {what}"
        return UsageError(text)

    # ---- values

    def text(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise UsageError(f"{key} must be text, not {value!r}")
        return value.strip()

    def url(self, key: str, value: Any) -> str:
        text = self.text(key, value)
        if not text.startswith(("http://", "https://")):
            raise UsageError(f"{key} must be a URL as http://prometheus.monitoring:9090, not {value!r}")
        return text

    def seconds(self, key: str, value: Any) -> float:
        found = None if isinstance(value, bool) else _DURATION.fullmatch(str(value))
        length = float(found[1]) * _SECONDS[found[2]] if found else 0.0
        if not length > 0:
            raise UsageError(f"{key} {value!r} is no time such as 500ms, 10s or 10m")
        return length

    def share(self, key: str, value: Any) -> float:
        return rate(value, key)

    def number(self, key: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"{key} must be a number, not {value!r}")
        return value

    def count(self, key: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{key} must be a whole number, not {value!r}")
        return value

    def flag(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise UsageError(f"{key} must be true or false, not {value!r}")
        return value

    def thresholds(self, key: str, value: Any) -> Mapping[str, float]:
        if not isinstance(value, dict) or not set(value) <= {"pass", "marginal"}:
            raise UsageError(f"{key} must be {{pass: 95, marginal: 75}}, not {value!r}")
        return {"passes" if name == "pass" else name: self.number(name, one) for name, one in value.items()}

    def config(self, key: str, value: Any) -> JudgeConfig:
        if isinstance(value, str):
            value = self._json((self._path.parent / value).resolve())
        return parse(value, key)

    def _json(self, path: Path) -> Any:
        if not path.is_relative_to(self._path.parent.resolve()):
            raise UsageError(f"canaryConfig {path}: a file beside this one is wanted")
        try:
            return json.loads(path.read_bytes())
        except OSError as error:
            raise UsageError(f"canaryConfig {path.name}: {error.strerror}") from None
        except ValueError as error:
            raise UsageError(f"canaryConfig {path.name} is no JSON: {error}") from None


_RULES = tuple(one.name for one in fields(GateRules) if one.name not in ("compared", "latency"))
_READERS: Mapping[str, Callable[[_Reading, str, Any], Any]] = {
    "prometheus": _Reading.url,
    **dict.fromkeys(("provider", "canary", "baseline", "location", *_COUNTERS), _Reading.text),
    **dict.fromkeys(("latency", "every", "deadline"), _Reading.seconds),
    **dict.fromkeys(_SHARES, _Reading.share),
    "ratio": _Reading.number,
    "minimum": _Reading.count,
    "canaryConfig": _Reading.config,
    "thresholds": _Reading.thresholds,
    "compatible": _Reading.flag,
}
