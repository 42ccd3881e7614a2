"""Rules of a VirtualService that no request reaches, and matches that never decide.

Upstream: istio/istio pkg/config/validation/validation.go, analyzeUnreachableHTTPRules and its siblings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from meshtest.lib.dataclass import dataclass
from meshtest.model.document import Document
from meshtest.preflight.dig import Object, object_at, objects, port, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import VIRTUAL_SERVICE
from meshtest.preflight.rules import each

Rules = Sequence[tuple[int, Object]]


@each(VIRTUAL_SERVICE, analyzer="schema.ValidationAnalyzer.VirtualService")
def rules(document: Document) -> Iterator[Hit]:
    """IST0130 and IST0131, for http, tcp and tls rules."""
    for family in ("http", "tcp", "tls"):
        found = list(objects(document.data, "spec", family))
        yield from _repeated(document, family, found)
        if family == "http":
            yield from _covered(document, found)


def _repeated(document: Document, family: str, found: Rules) -> Iterator[Hit]:
    seen: dict[str, int] = {}
    catch_all: int | None = None
    for index, rule in found:
        path = ("spec", family, index)
        matches = list(objects(rule, "match"))
        if not matches:
            if catch_all is not None:
                text_ = f"{_rule(found, index)} is not reached: {_rule(found, catch_all)} takes every request"
                yield Hit("IST0130", document, path, text_)
            catch_all = index
            continue
        repeated = 0
        for number, match in matches:
            if catch_all is not None:
                text_ = f"{_rule(found, index)} is not reached: {_rule(found, catch_all)} takes every request"
                yield Hit("IST0130", document, (*path, "match", number), text_)
                continue
            same = seen.setdefault(_shape(match), index)
            if same != index or _earlier(matches, number, match):
                repeated += 1
                text_ = f"match {number} of {_rule(found, index)} is that of {_rule(found, same)} again"
                yield Hit("IST0131", document, (*path, "match", number), text_)
        if repeated == len(matches):
            text_ = f"{_rule(found, index)} is not reached: earlier rules have all of its matches"
            yield Hit("IST0130", document, path, text_)


def _earlier(matches: Rules, number: int, match: Object) -> bool:
    """The same match stands before it in the same rule."""
    return any(_shape(other) == _shape(match) for n, other in matches if n < number)


def _shape(match: Object) -> str:
    """What a match means, without its name."""
    return json.dumps({key: value for key, value in match.items() if key != "name"}, sort_keys=True, default=str)


def _rule(found: Rules, index: int) -> str:
    name = next((text(rule, "name") for i, rule in found if i == index), "")
    return f"rule `{name}`" if name else f"rule {index + 1}"


@dataclass(frozen=True)
class Prefixed:
    """A match on a path prefix, with what else it asks for."""

    rule: int
    number: int
    prefix: str
    port: int | None
    method: str
    authority: str
    maps: tuple[Mapping[str, str], Mapping[str, str], Mapping[str, str]]
    """headers, queryParams, withoutHeaders"""

    def covers(self, other: Prefixed) -> bool:
        """Upstream's rule, which compares patterns as text: `exact:GET` is covered by what begins like it."""
        return (
            other.prefix.startswith(self.prefix)
            and self.port == other.port
            and self.method.startswith(other.method)
            and self.authority.startswith(other.authority)
            and all(_covers(mine, its) for mine, its in zip(self.maps, other.maps, strict=True))
        )


def _covers(mine: Mapping[str, str], its: Mapping[str, str]) -> bool:
    return len(mine) == len(its) and all(key in its and value.startswith(its[key]) for key, value in mine.items())


def _covered(document: Document, found: Rules) -> Iterator[Hit]:
    prefixed = list(_prefixed(found))
    for first, one in enumerate(prefixed):
        for other in prefixed[first + 1 :]:
            if one.prefix != other.prefix and one.covers(other):
                path = ("spec", "http", other.rule, "match", other.number)
                message = (
                    f"prefix `{other.prefix}` of {_rule(found, other.rule)} is covered by `{one.prefix}` of "
                    f"{_rule(found, one.rule)} before it"
                )
                yield Hit("IST0131", document, path, message)


def _prefixed(found: Rules) -> Iterator[Prefixed]:
    """The first of each match of its kind; matches after a rule for everything do not count."""
    seen: set[str] = set()
    for index, rule in found:
        matches = list(objects(rule, "match"))
        if not matches:
            return
        for number, match in matches:
            prefix = text(match, "uri", "prefix")
            if _shape(match) not in seen and prefix:
                maps = tuple(_patterns(object_at(match, kind)) for kind in ("headers", "queryParams", "withoutHeaders"))
                method = _pattern(object_at(match, "method")) or "exact:GET"
                authority = _pattern(object_at(match, "authority"))
                headers, query, without = maps
                yield Prefixed(index, number, prefix, port(match, "port"), method, authority, (headers, query, without))
            seen.add(_shape(match))


def _patterns(found: Object) -> dict[str, str]:
    return {str(name): _pattern(value) for name, value in found.items()}


def _pattern(value: object) -> str:
    return next((f"{kind}:{text(value, kind)}" for kind in ("exact", "prefix") if text(value, kind)), "")
