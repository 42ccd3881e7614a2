"""The metrics of all proxies as one text in Prometheus' format 0.0.4.

What has not changed since the last time is not written anew: of the 70 lines of a flow each has 25 labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from meshtest.lib.exposition import label_text, number
from meshtest_envoy.metrics.flow import Buckets, Flow, Tally, together


class Vocabulary(Protocol):
    """How a mesh names its metrics: istio.py, linkerd.py."""

    BOUNDS: Sequence[float]
    COUNTERS: Mapping[str, str]
    """The field of a Tally by metric."""
    HISTOGRAMS: Mapping[str, str]

    def counters(self, flow: Flow, tally: Tally) -> Iterator[str]: ...
    def histograms(self, flow: Flow) -> Iterator[str]: ...
    def labels(self, flow: Flow) -> Sequence[tuple[str, str]]: ...


class _Written(NamedTuple):
    version: int
    lines: dict[str, str]
    """By metric."""


class _Whole(NamedTuple):
    version: int
    text: str


class _Series:
    """Flows that differ in nothing that this vocabulary tells: one series."""

    def __init__(self, flow: Flow, labels: str) -> None:
        self.flow, self.labels = flow, labels
        self.tallies: list[Tally] = []
        self.written = _Written(-1, {})

    @property
    def version(self) -> int:
        return sum(tally.version for tally in self.tallies)


class Page:
    """Of one run, in one vocabulary."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._words = vocabulary
        self._series: dict[str, _Series] = {}
        """By what stands between the braces."""
        self._known: set[Flow] = set()
        self._whole = _Whole(0, "")
        self._bounds = [(bound, f'le="{number(bound)}"') for bound in vocabulary.BOUNDS]

    def text(self, tallies: Mapping[Flow, Tally]) -> str:
        for flow, tally in tallies.items():
            if flow not in self._known:
                self._known.add(flow)
                labels = label_text(self._words.labels(flow))
                self._series.setdefault(labels, _Series(flow, labels)).tallies.append(tally)
        version = sum(series.version for series in self._series.values())
        if version != self._whole.version:
            self._whole = _Whole(version, self._put_together())
        return self._whole.text

    def _put_together(self) -> str:
        written = [self._lines(series) for series in self._series.values()]
        parts: list[str] = []
        for name in (*self._words.COUNTERS, *self._words.HISTOGRAMS):
            lines = [lines[name] for lines in written if name in lines]
            if lines:
                parts.append(f"# TYPE {name} {'counter' if name in self._words.COUNTERS else 'histogram'}\n")
                parts += lines
        return "".join(parts)

    def _lines(self, series: _Series) -> dict[str, str]:
        version = series.version
        if series.written.version != version:
            series.written = _Written(version, dict(self._write(series.flow, together(series.tallies), series.labels)))
        return series.written.lines

    def _write(self, flow: Flow, tally: Tally, labels: str) -> Iterator[tuple[str, str]]:
        for name in self._words.counters(flow, tally):
            yield name, f"{name}{{{labels}}} {getattr(tally, self._words.COUNTERS[name])}\n"
        for name in self._words.histograms(flow):
            yield name, self._histogram(name, labels, getattr(tally, self._words.HISTOGRAMS[name]))

    def _histogram(self, name: str, labels: str, buckets: Buckets) -> str:
        rest = sorted(buckets.items(), reverse=True)
        lines, below = [], 0
        for bound, le in self._bounds:
            while rest and rest[-1][0][0] <= bound:
                below += rest.pop()[1]
            lines.append(f"{name}_bucket{{{labels},{le}}} {below}\n")
        total = sum(buckets.values())
        lines.append(f'{name}_bucket{{{labels},le="+Inf"}} {total}\n')
        lines.append(f"{name}_sum{{{labels}}} {number(summed(buckets))}\n{name}_count{{{labels}}} {total}\n")
        return "".join(lines)


def summed(buckets: Buckets) -> float:
    """Envoy keeps two digits of each whole number: exact below 100, above that the middle of what it may have been."""
    return sum(count * (low + (width - 1) / 2 if width > 1 else low) for (low, width), count in buckets.items())
