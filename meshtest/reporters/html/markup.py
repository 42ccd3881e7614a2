"""HTML and SVG as text in which nothing of a user's is taken for markup.

What is a Markup is kept, everything else is escaped. Characters that a document may not hold (controls, half of a
surrogate pair) or that would turn the text around them (bidirectional overrides) become U+FFFD.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape as _escape

_UNFIT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""XML 1.0 section 2.2 (Char), and the overrides of Unicode's bidirectional algorithm (UAX 9)."""
_VOID = frozenset(("br", "hr", "input", "link", "meta", "wbr"))
_EMPTY = frozenset(("circle", "line", "path", "rect", "use"))
"""Of SVG, mostly without children."""


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


NOTHING = Markup()


def text(value: object) -> Markup:
    """Escaped, unless it is markup."""
    if isinstance(value, Markup):
        return value
    return Markup(_escape(_UNFIT.sub("\ufffd", str(value))))


def breakable(name: str) -> Markup:
    """A long name, which may be broken after the signs that part its words."""
    return Markup(re.sub(r"(_|/|::|-(?=\w))", r"\1<wbr>", text(name)))


def join(parts: Iterable[object], between: str = "") -> Markup:
    return Markup(between.join(map(text, parts)))


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """`tag("td", 5, class_="n")`. Underscores become hyphens; None and False leave the attribute out."""
    head = name + "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Markup(f"<{head}>")
    if name in _EMPTY and not children:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>{join(children)}</{name}>")


def _attribute(name: str, value: object) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-") if name not in ("viewBox", "markerWidth") else name
    if isinstance(value, float):
        value = f"{value:.1f}".removesuffix(".0")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'
