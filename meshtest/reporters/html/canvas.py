"""What all charts share: two widths to lay them out for, scales, ticks, labels that fit.

Every chart is drawn twice, for wide windows and for narrow ones, and the style sheet shows one: text keeps its size,
and nothing has to be scrolled sideways. No script, so it looks the same in a mail or an artifact of a CI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil, floor, log10
from typing import NamedTuple

from meshtest.lib.figures import seconds
from meshtest.reporters.html.markup import Markup, join, tag


class Canvas(NamedTuple):
    """A width to draw for, in units that are about a pixel."""

    key: str
    """Begins every id, so that they are unique on the page."""
    width: int
    left: int
    """Room for the labels of the axis and the names of lanes."""
    right: int
    columns: int
    """Parts of the time that are counted together."""
    tips: bool
    """A tooltip for every column: who has a narrow window has no mouse."""

    @property
    def end(self) -> int:
        return self.width - self.right

    @property
    def inner(self) -> int:
        return self.end - self.left

    @property
    def names_above(self) -> bool:
        """Names of lanes stand above them, not beside."""
        return self.left < 80


WIDE = Canvas("wide", 960, 118, 10, 105, True)
NARROW = Canvas("narrow", 380, 40, 8, 56, False)


class Scale(NamedTuple):
    """Values to places, linearly."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Values outside are put at the edge."""
        part = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + (self.end - self.start) * min(max(part, 0.0), 1.0)


def both(draw: Callable[[Canvas], Markup]) -> Markup:
    """The chart for wide windows and the one for narrow."""
    return join(tag("div", draw(canvas), class_=canvas.key) for canvas in (WIDE, NARROW))


def picture(canvas: Canvas, name: str, height: float, title: str, description: str, *children: object) -> Markup:
    """An image with words for those who do not see it, and the pattern that marks failures."""
    key = f"{canvas.key}-{name}"
    words = (tag("title", title, id=f"{key}-title"), tag("desc", description, id=f"{key}-desc"))
    return tag(
        "svg", *words, _patterns(key), *children, viewBox=f"0 0 {canvas.width} {ceil(height)}", role="img",
        aria_labelledby=f"{key}-title {key}-desc", class_="chart", style=f"--hatch:url(#{key}-hatch)",
    )  # fmt: skip


def _patterns(key: str) -> Markup:
    """Failures are hatched: whoever cannot tell the colours can tell them."""
    lines = tag("path", d="M-1 1l2-2M0 6l6-6M5 7l2-2", class_="hatch")
    ground = tag("rect", width=6, height=6, class_="hatch-ground")
    pattern = tag("pattern", ground, lines, id=f"{key}-hatch", width=6, height=6, patternUnits="userSpaceOnUse")
    return tag("defs", pattern)


# Text.

SIZE = 12
"""Of the text in charts."""
_NARROW, _BROAD = frozenset("iljtfrI.,:;|!'()[] -1/"), frozenset("mwMWGOQ@%&—…×→")


def width(text: str, size: float = SIZE) -> float:
    """About how wide it will be; rather more than less, as fonts differ."""
    units = sum(0.36 if c in _NARROW else 0.92 if c in _BROAD else 0.64 if ord(c) < 0x1100 else 1.05 for c in text)
    return units * size


def fitted(text: str, room: float, size: float = SIZE) -> str:
    """As much of it as there is room for, "" if that says nothing."""
    if width(text, size) <= room:
        return text
    kept, used = 0, width("…", size)
    for c in text:
        used += width(c, size)
        if used > room:
            break
        kept += 1
    return text[:kept].rstrip() + "…" if kept >= 3 else ""


def label(x: float, y: float, text: str, *, room: float = 1e9, class_: str = "", anchor: str = "") -> Markup:
    """Text that fits; what was cut off is in its tooltip."""
    shown = fitted(text, room / 1.12 if "strong" in class_ else room)
    if not shown:
        return Markup()
    more = (tag("title", text),) if shown != text else ()
    return tag("text", shown, *more, x=x, y=y, class_=class_ or None, text_anchor=anchor or None)


# Axes.


def nice(low: float, high: float, most: int) -> list[float]:
    """Round values between low and high, at most so many."""
    span = high - low
    if span <= 0 or most < 1:
        return []
    power = 10.0 ** floor(log10(span / most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20, 50) if span / (power * factor) <= most)
    return [i * step for i in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]


def second(value: float, step: float) -> str:
    """A time on an axis with that distance between its ticks: `0.25 s`, `90 s`."""
    digits = max(0, ceil(-log10(step) - 1e-9)) if step > 0 else 0
    return f"{value:.{min(digits, 6)}f} s"


def took(value: float) -> str:
    """A time that someone worked; proxies write whole milliseconds, and nothing takes none."""
    return "<1 ms" if value < 0.00005 else seconds(value)


def duration(value: float) -> str:
    """`0.1 ms`, `50 ms`, `2 s`, for the marks of a logarithmic axis."""
    if value >= 0.9995:
        return f"{value:g} s"
    return f"{value * 1e3:g} ms" if value >= 0.9995e-3 else f"{value * 1e6:.3g} µs"


def time_axis(canvas: Canvas, scale: Scale, y: float) -> Iterator[Markup]:
    """A line with times below it."""
    ticks = nice(scale.low, scale.high, canvas.inner // 70)
    step = ticks[1] - ticks[0] if len(ticks) > 1 else scale.high - scale.low
    yield tag("path", d=f"M{canvas.left} {y:.1f}H{canvas.end}", class_="axis")
    for tick in ticks:
        x = scale(tick)
        yield tag("path", d=f"M{x:.1f} {y:.1f}v4", class_="axis")
        words = second(tick, step)
        half = width(words) / 2
        yield tag("text", words, x=min(max(x, half), canvas.width - half), y=y + 17, text_anchor="middle", class_="dim")


def log_ticks(low: float, high: float) -> list[float]:
    """1, 10, 100; with 2 and 5 between them where there are few."""
    exponents = range(floor(log10(low)), ceil(log10(high)) + 1)
    factors: tuple[int, ...] = (1,) if log10(high / low) > 2.2 else (1, 2, 5)
    found = [factor * 10.0**exponent for exponent in exponents for factor in factors]
    return [value for value in found if low * 0.999 <= value <= high * 1.001]
