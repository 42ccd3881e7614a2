"""Which route a request takes: what the proxy will do, told without one. The oracle that tests hold Envoy against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from meshtest.lib import regex
from meshtest.model.route import HeaderMatch, Match, Route, StringMatch, VirtualHost


def decide(
    hosts: Sequence[VirtualHost],
    authority: str,
    method: str,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    any_port: bool = False,
) -> Route | None:
    """The route for a request line and its headers; None when no host or no route takes it (Envoy answers 404).

    `any_port`: hosts are matched without their port, as at a gateway.
    """
    host = find_host(hosts, authority.rpartition(":")[0] or authority if any_port else authority)
    if host is None:
        return None
    fields = {name.lower(): value for name, value in (headers or {}).items()}
    fields |= {":method": method, ":authority": authority, ":scheme": fields.get(":scheme", "http"), ":path": path}
    bare, _, query = path.partition("#")[0].partition("?")
    given = parameters(query)
    return next((route for route in host.routes if matches(route.match, bare, fields, given)), None)


def find_host(hosts: Sequence[VirtualHost], authority: str) -> VirtualHost | None:
    """Envoy's order: the exact domain, the longest `*.suffix`, the longest `prefix.*`, then `*`."""
    authority = authority.lower()
    best: tuple[tuple[int, int], VirtualHost] | None = None
    for host in hosts:
        for domain in host.domains:
            rank = domain_rank(domain.lower(), authority)
            if rank is not None and (best is None or rank > best[0]):
                best = (rank, host)
    return best[1] if best else None


def domain_rank(domain: str, authority: str) -> tuple[int, int] | None:
    """How specific a domain is for an authority; None if it does not match."""
    if domain == authority:
        return (3, 0)
    if domain == "*":
        return (0, 0)
    if domain.startswith("*") and authority.endswith(domain[1:]) and len(authority) >= len(domain):
        return (2, len(domain))
    if domain.endswith("*") and authority.startswith(domain[:-1]) and len(authority) >= len(domain):
        return (1, len(domain))
    return None


def matches(match: Match, path: str, headers: Mapping[str, str], query: Mapping[str, str]) -> bool:
    """All conditions hold. `path` is without the query; header names are lower case."""
    return (
        (match.path is None or string_matches(match.path, path))
        and all(header_matches(header, headers) for header in match.headers)
        and all(name in query and string_matches(wanted, query[name]) for name, wanted in match.query)
    )


def header_matches(wanted: HeaderMatch, headers: Mapping[str, str]) -> bool:
    """An absent header matches no value, not even inverted, unless it counts as empty (Envoy)."""
    value = headers.get(wanted.name.lower())
    if wanted.match.kind == "present":
        return (value is not None) != wanted.invert
    if value is None and not wanted.missing_is_empty:
        return False
    return string_matches(wanted.match, value or "") != wanted.invert


def string_matches(wanted: StringMatch, value: str) -> bool:
    """A regular expression must match the whole value, and has its own ways to ignore case."""
    if wanted.kind == "present":
        return True
    if wanted.kind == "regex":
        return regex.matches(wanted.value, value, ignore_case=wanted.ignore_case)
    pattern = wanted.value
    if wanted.ignore_case:
        pattern, value = pattern.lower(), value.lower()
    if wanted.kind == "exact":
        return value == pattern
    if wanted.kind == "prefix":
        return value.startswith(pattern)
    stem = pattern.rstrip("/")
    return value == stem or value.startswith(f"{stem}/")


def parameters(query: str) -> dict[str, str]:
    """The first value of each, not decoded (Envoy)."""
    found: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        found.setdefault(name, value)
    return found
