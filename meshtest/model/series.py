"""What a question about metrics is answered with: samples, series, and "no data" as a value of its own. Pure.

Nothing measured is not 0: a canary without requests has no success rate, neither a good nor a bad one. So NoData is no
number. To compare it with one fails, with the reason why there is none; reckoning with it gives NoData again.

Not here: where the numbers come from (telemetry/builtin.py from the record, a Prometheus by mesh.query).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Never, TypeVar, overload

from meshtest.errors import UsageError
from meshtest.lib.words import listed

Labels = Mapping[str, str]
T = TypeVar("T")

MOST_SHOWN = 6
"""Series that are named in a message."""


class NoDataFound(AssertionError):
    """A number was compared with, and there is none; the text says why. An assertion: nothing has been proven."""


class NoData:
    """There is no number. `figure == NO_DATA` asks; any comparison with a number raises NoDataFound."""

    __slots__ = ("why",)

    def __init__(self, why: str = "") -> None:
        self.why = why
        """Why there is none, and what to do; empty for NO_DATA, which only asks."""

    def _refuse(self, other: object) -> Never:
        raise NoDataFound(f"no data to compare with {other!r}" + (f": {self.why}" if self.why else ""))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NoData):
            return True
        if isinstance(other, int | float) and self.why:
            self._refuse(other)
        return False if isinstance(other, int | float) else NotImplemented

    def __hash__(self) -> int:
        return hash(NoData)

    def __lt__(self, other: object) -> bool:
        self._refuse(other)

    __le__ = __gt__ = __ge__ = __lt__

    def __float__(self) -> float:
        raise NoDataFound(f"no data{': ' * bool(self.why)}{self.why}")

    def __bool__(self) -> bool:
        raise TypeError("no data is neither true nor false; ask `== NO_DATA`, or compare with a number")

    def _remain(self, other: float | NoData) -> NoData:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _remain

    def __repr__(self) -> str:
        return f"NO DATA ({self.why})" if self.why else "NO DATA"


NO_DATA = NoData()
"""To ask whether there is data: `mesh.query(...) == NO_DATA`."""

Number = float | NoData


class Sample(NamedTuple):
    """One series at one time."""

    labels: Labels
    """`__name__` among them if the query kept it."""
    value: Number
    at: float
    """Second of the run."""

    def __str__(self) -> str:
        return f"{name_of(self.labels)} {_shown(self.value)}"


class Series(NamedTuple):
    """One series over time."""

    labels: Labels
    points: Sequence[tuple[float, Number]]
    """(second of the run, value)"""

    @property
    def values(self) -> list[float]:
        """Those that are numbers."""
        return [value for _, value in self.points if not isinstance(value, NoData)]

    def __str__(self) -> str:
        shown = ", ".join(_shown(value) for _, value in self.points[:MOST_SHOWN])
        return f"{name_of(self.labels)} {shown}{', ...' * (len(self.points) > MOST_SHOWN)}"


class _Answer(Sequence[T]):
    """What Vector and Matrix have in common."""

    def __init__(self, items: Sequence[T], *, query: str = "", why: str = "") -> None:
        self._items = tuple(items)
        self.query = query
        self.why = why
        """Of an answer without data: why that is."""

    def __len__(self) -> int:
        return len(self._items)

    @overload
    def __getitem__(self, index: int, /) -> T: ...
    @overload
    def __getitem__(self, index: slice, /) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice, /) -> T | Sequence[T]:
        return self._items[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __bool__(self) -> bool:
        raise TypeError("series are neither true nor false: compare with a number or NO_DATA, or ask len()")

    def __repr__(self) -> str:
        """Of several series only the labels that tell them apart: Istio's have 25."""
        if not self._items:
            return repr(NoData(self.why))
        more = [f"... {len(self) - MOST_SHOWN} more"] * (len(self) > MOST_SHOWN)
        return "; ".join([*map(str, _told_apart(self._items)[:MOST_SHOWN]), *more])

    __str__ = __repr__


class Vector(_Answer[Sample]):
    """The answer to an instant query: a sample a series. One of a single series compares as its number does.

    assert mesh.query('sum(rate(istio_requests_total[5s]))') > 10
    assert mesh.query('sum by (destination_version) (istio_requests_total)').by("destination_version")["v2"] == 300
    """

    is_scalar = False
    """The query was a number and no vector, which compares alike; some clients (Flagger's) read vectors only."""

    @property
    def value(self) -> Number:
        """The number of the only series; UsageError if there are several."""
        if not self._items:
            return NoData(self.why or "the query found no series")
        if len(self) > 1:
            raise UsageError(
                f"{len(self)} series are no single number: {self!r}; aggregate them (sum(...), max(...)) or pick with "
                ".by(LABEL) or .where(LABEL=...)"
            )
        return self._items[0].value

    @property
    def last(self) -> Number:
        """The number of the last series, which is the one that Flagger takes."""
        return self._items[-1].value if self._items else self.value

    def by(self, label: str) -> dict[str, Number]:
        """Numbers by the value of one label."""
        return _by(self._items, label, lambda sample: sample.labels, lambda sample: sample.value)

    def where(self, **labels: str) -> Vector:
        """Those whose labels have these values."""
        found = [s for s in self._items if all(s.labels.get(k) == v for k, v in labels.items())]
        asked = listed(f'{k}="{v}"' for k, v in labels.items())
        return Vector(found, query=self.query, why=self.why or f"none of {len(self)} series has {asked}: {self!r}")

    def _compare(self, other: object, relation: Callable[[Any, Any], Any]) -> bool:
        return bool(relation(self.value, other.value if isinstance(other, Vector) else other))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NoData):
            return all(isinstance(sample.value, NoData) for sample in self._items)
        return self._compare(other, operator.eq)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: object) -> bool:
        return self._compare(other, operator.lt)

    def __le__(self, other: object) -> bool:
        return self._compare(other, operator.le)

    def __gt__(self, other: object) -> bool:
        return self._compare(other, operator.gt)

    def __ge__(self, other: object) -> bool:
        return self._compare(other, operator.ge)

    def __float__(self) -> float:
        return float(self.value)


class Matrix(_Answer[Series]):
    """The answer to a range query: series over time."""

    @property
    def points(self) -> Sequence[tuple[float, Number]]:
        """Of the only series; UsageError if there are several, NoDataFound if there is none."""
        if not self._items:
            raise NoDataFound(repr(self))
        if len(self) > 1:
            raise UsageError(f"{len(self)} series: {self!r}; pick with .by(LABEL)")
        return self._items[0].points

    @property
    def values(self) -> list[float]:
        """All that are numbers, of all series."""
        return [value for series in self._items for value in series.values]

    def by(self, label: str) -> dict[str, Series]:
        return _by(self._items, label, lambda series: series.labels, lambda series: series)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NoData):
            return not self.values
        return tuple(self) == tuple(other) if isinstance(other, Matrix) else NotImplemented

    __hash__ = None  # type: ignore[assignment]


V = TypeVar("V")


def _told_apart(items: Sequence[Any]) -> list[Any]:
    """Samples or series without the labels that they have in common, but for the name."""
    if len(items) < 2:
        return list(items)
    first = items[0].labels
    same = {k for k, v in first.items() if k != "__name__" and all(one.labels.get(k) == v for one in items)}
    return [one._replace(labels={k: v for k, v in one.labels.items() if k not in same}) for one in items]


def _by(items: Sequence[T], label: str, labels: Callable[[T], Labels], value: Callable[[T], V]) -> dict[str, V]:
    found: dict[str, V] = {}
    for item in items:
        at = labels(item).get(label, "")
        if at in found:
            raise UsageError(f'several series have {label}="{at}"; aggregate the others: sum by ({label}) (...)')
        found[at] = value(item)
    return found


def name_of(labels: Labels) -> str:
    """As Prometheus writes it: `up{job="mesh"}`."""
    inner = ",".join(f'{k}="{v}"' for k, v in labels.items() if k != "__name__")
    return f"{labels.get('__name__', '')}{{{inner}}}"


def _shown(value: Number) -> str:
    return repr(value) if isinstance(value, NoData) else f"{value:.6g}"
