"""The metrics of a mesh at one moment, as a test asserts on them.

    metrics = mesh.metrics()
    assert metrics.value("istio_requests_total", reporter="source", destination_workload="web-v2") == 40
    assert metrics.value("istio_requests_total", reporter="source", response_code="503") == NO_DATA

A sum over series that were never begun is no 0, but NoData: a counter that nobody has increased and a misspelt label
look alike. Not here: rates and other questions over time (PromQL).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from meshtest.lib.exposition import Sample, matching, parse_line
from meshtest.lib.words import listed, nearest
from meshtest.model.series import NoData, Number


class Metrics:
    """Samples, parsed when they are looked at: a mesh of 20 services has some 10,000."""

    def __init__(self, text: str) -> None:
        self.text = text
        """As the endpoint tells it."""

    @cached_property
    def _lines(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for line in self.text.splitlines():
            if line and not line.startswith("#"):
                found.setdefault(line.partition("{")[0].partition(" ")[0], []).append(line)
        return found

    def names(self) -> list[str]:
        """Of all samples: `istio_requests_total`, `istio_request_bytes_bucket`..."""
        return sorted(self._lines)

    def samples(self, name: str, **labels: str) -> list[Sample]:
        """Those of that name with these labels; `label=""` is one that is not there."""
        return matching(map(parse_line, self._lines.get(name, ())), labels)

    def value(self, name: str, **labels: str) -> Number:
        """The sum over all samples with these labels."""
        found = self.samples(name, **labels)
        return sum(sample.value for sample in found) if found else NoData(self._why(name, labels))

    def by(self, name: str, label: str, **labels: str) -> dict[str, float]:
        """The sums by the value of one label."""
        sums: dict[str, float] = {}
        for sample in self.samples(name, **labels):
            at = sample.labels.get(label, "")
            sums[at] = sums.get(at, 0.0) + sample.value
        return sums

    def quantile(self, name: str, q: float, **labels: str) -> Number:
        """Of a histogram: as PromQL's histogram_quantile over all that was counted, so it lies between two bounds."""
        sums = self.by(f"{name}_bucket", "le", **labels)
        if not sums.get("+Inf"):
            return NoData(self._why(f"{name}_bucket", labels))
        counted = sorted((float(bound), count) for bound, count in sums.items())
        return _interpolated(q * sums["+Inf"], counted)

    def _why(self, name: str, labels: dict[str, str]) -> str:
        if name not in self._lines:
            hint = nearest(name, self.names())
            return f"nothing has been counted as {name}" + (f"; did you mean {hint}?" if hint else "")
        samples = self.samples(name)
        for label, value in labels.items():
            known = sorted({s.labels.get(label, "") for s in samples})
            if value not in known:
                return f'of {name} no sample has {label}="{value}"; there are: {listed(map(repr, known), most=8)}'
        return f"no sample of {name} has all of these labels: " + listed(f'{k}="{v}"' for k, v in labels.items())

    def __repr__(self) -> str:
        return f"<Metrics: {sum(map(len, self._lines.values()))} samples of {listed(self.names(), most=4)}>"


def _interpolated(rank: float, counted: Sequence[tuple[float, float]]) -> float:
    """Within the bucket that holds the rank, as if its values were spread evenly (promql/quantile.go)."""
    low = below = 0.0
    for bound, count in counted:
        if count >= rank:
            if bound == float("inf"):
                return low
            return bound if count == below else low + (bound - low) * (rank - below) / (count - below)
        low, below = bound, count
    return low
