"""Why a rule does not take a request: its first condition that does not hold, in words."""

from __future__ import annotations

from collections.abc import Mapping

from meshtest.explain.asked import Asked
from meshtest.manifests.decide import header_matches, parameters, string_matches
from meshtest.model.route import HeaderMatch, Match, StringMatch

EVERY = "every request"

KINDS = {
    "exact": "", "prefix": "prefix ", "path_prefix": "path prefix ", "regex": "regex ",
}  # fmt: skip


def unmet(match: Match, asked: Asked) -> str:
    """ "" when every condition holds."""
    if match.path is not None and not string_matches(match.path, asked.bare_path):
        return f"path {asked.bare_path} is not {wanted(match.path)}"
    fields = asked.fields
    for header in match.headers:
        if not header_matches(header, fields):
            return _header(header, fields)
    given = parameters(asked.query)
    for name, value in match.query:
        if name not in given:
            return f"query parameter {name} is absent"
        if not string_matches(value, given[name]):
            return f"query parameter {name} is {given[name]!r}, not {wanted(value)}"
    return ""


def conditions(match: Match) -> str:
    """What a match asks for: `path prefix /a, header x is 1`; `every request` where it asks for nothing."""
    found = [f"path is {wanted(match.path)}"] if match.path else []
    found += [_condition(header) for header in match.headers]
    found += [f"query parameter {name} is {wanted(value)}" for name, value in match.query]
    return ", ".join(found) if found and not match.is_catch_all else EVERY


def wanted(match: StringMatch) -> str:
    if match.kind == "present":
        return "there"
    return f"{KINDS[match.kind]}{match.value!r}" + (" in any case" if match.ignore_case else "")


def _name(header: HeaderMatch) -> str:
    return header.name[1:] if header.name.startswith(":") else f"header {header.name}"


def _condition(header: HeaderMatch) -> str:
    return f"{_name(header)} is {'not ' if header.invert else ''}{wanted(header.match)}"


def _header(header: HeaderMatch, fields: Mapping[str, str]) -> str:
    value = fields.get(header.name.lower())
    seen = "absent" if value is None else repr(value)
    if header.invert:
        return f"{_name(header)} is {seen}, which this rule leaves out"
    return f"{_name(header)} is {seen}, not {wanted(header.match)}"
