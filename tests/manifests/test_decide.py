"""Which route a request takes: domains, paths, headers, query."""

from __future__ import annotations

import pytest

from meshtest.manifests.decide import decide, find_host
from meshtest.model.route import HeaderMatch, Match, Route, StringMatch, VirtualHost


def exact(value: str) -> StringMatch:
    return StringMatch(kind="exact", value=value)


def host(*domains: str, name: str = "") -> VirtualHost:
    return VirtualHost(name=name or domains[0], domains=domains, routes=(Route(name=name or domains[0]),))


def takes(
    match: Match, path: str = "/", headers: dict[str, str] | None = None, method: str = "GET", authority: str = "a"
) -> bool:
    hosts = [VirtualHost(name="a", domains=("*",), routes=(Route(match=match),))]
    return decide(hosts, authority, method, path, headers) is not None


class TestDomains:
    HOSTS = (
        host("*"),
        host("*.example.com"),
        host("*.b.example.com"),
        host("a.b.example.com"),
        host("shop.*"),
        host("reviews:9080", "reviews.default:9080"),
    )

    @pytest.mark.parametrize(
        ("authority", "name"),
        [
            ("a.b.example.com", "a.b.example.com"),
            ("A.B.Example.com", "a.b.example.com"),
            ("x.b.example.com", "*.b.example.com"),
            ("x.example.com", "*.example.com"),
            ("example.com", "*"),
            ("shop.example.com", "*.example.com"),
            ("shop.org", "shop.*"),
            ("reviews.default:9080", "reviews:9080"),
            ("reviews", "*"),
        ],
    )
    def test_the_most_specific_domain_wins(self, authority: str, name: str) -> None:
        found = find_host(self.HOSTS, authority)
        assert found is not None
        assert found.name == name

    def test_an_unknown_host_has_no_route(self) -> None:
        assert decide([host("a")], "b", "GET", "/") is None

    def test_a_host_whose_routes_all_pass_has_none_either(self) -> None:
        assert not takes(Match(path=exact("/a")), "/b")


class TestPaths:
    @pytest.mark.parametrize(
        ("kind", "value", "path", "matches"),
        [
            ("exact", "/a", "/a", True),
            ("exact", "/a", "/a/", False),
            ("exact", "/a", "/a?b=c", True),
            ("prefix", "/v1", "/v10", True),
            ("prefix", "/v1", "/V1", False),
            ("path_prefix", "/v1", "/v1", True),
            ("path_prefix", "/v1", "/v1/x", True),
            ("path_prefix", "/v1/", "/v1", True),
            ("path_prefix", "/v1", "/v10", False),
            ("path_prefix", "/", "/anything", True),
            ("regex", "/a.*c", "/abbc", True),
            ("regex", "/a", "/ab", False),
            ("regex", "/a", "/a?x", True),
        ],
    )
    def test_how_a_path_matches(self, kind: str, value: str, path: str, matches: bool) -> None:
        assert takes(Match(path=StringMatch(kind=kind, value=value)), path) is matches  # type: ignore[arg-type]

    def test_case_can_be_ignored(self) -> None:
        assert takes(Match(path=StringMatch(kind="prefix", value="/A", ignore_case=True)), "/ab")


class TestHeaders:
    @pytest.mark.parametrize(
        ("wanted", "headers", "matches"),
        [
            (HeaderMatch(name="x", match=exact("1")), {"X": "1"}, True),
            (HeaderMatch(name="x", match=exact("1")), {"x": "2"}, False),
            (HeaderMatch(name="x", match=exact("1")), {}, False),
            (HeaderMatch(name="x", match=exact("")), {}, False),
            (HeaderMatch(name="x", match=StringMatch(kind="present")), {"x": ""}, True),
            (HeaderMatch(name="x", match=StringMatch(kind="present")), {}, False),
            (HeaderMatch(name="x", match=StringMatch(kind="present"), invert=True), {}, True),
            (HeaderMatch(name="x", match=exact("1"), invert=True), {"x": "2"}, True),
            (HeaderMatch(name="x", match=exact("1"), invert=True), {"x": "1"}, False),
            (HeaderMatch(name="x", match=exact("1"), invert=True), {}, False),
            (HeaderMatch(name="x", match=exact("1"), invert=True, missing_is_empty=True), {}, True),
            (HeaderMatch(name="x", match=StringMatch(kind="regex", value="a.*")), {"x": "abc"}, True),
            (HeaderMatch(name="x", match=StringMatch(kind="regex", value="a")), {"x": "abc"}, False),
        ],
    )
    def test_how_a_header_matches(self, wanted: HeaderMatch, headers: dict[str, str], matches: bool) -> None:
        assert takes(Match(headers=(wanted,)), headers=headers) is matches

    @pytest.mark.parametrize(
        ("name", "value", "matches"),
        [(":method", "POST", True), (":method", "GET", False), (":authority", "a", True), (":scheme", "http", True)],
    )
    def test_pseudo_headers(self, name: str, value: str, matches: bool) -> None:
        wanted = HeaderMatch(name=name, match=exact(value))
        assert takes(Match(headers=(wanted,)), method="POST") is matches

    def test_all_conditions_must_hold(self) -> None:
        both = Match(path=exact("/a"), headers=(HeaderMatch(name="x", match=exact("1")),))
        assert takes(both, "/a", {"x": "1"})
        assert not takes(both, "/a")
        assert not takes(both, "/b", {"x": "1"})


class TestQuery:
    @pytest.mark.parametrize(
        ("path", "matches"),
        [("/?q=1", True), ("/?a=b&q=1", True), ("/?q=2&q=1", False), ("/?q=11", False), ("/?q", False), ("/", False)],
    )
    def test_the_first_value_counts(self, path: str, matches: bool) -> None:
        assert takes(Match(query=(("q", exact("1")),)), path) is matches

    def test_presence(self) -> None:
        present = Match(query=(("q", StringMatch(kind="present")),))
        assert takes(present, "/?q")
        assert not takes(present, "/?p=q")


def test_the_first_route_that_takes_the_request_wins() -> None:
    routes = (
        Route(name="special", match=Match(headers=(HeaderMatch(name="x", match=exact("1")),))),
        Route(name="rest"),
    )
    hosts = [VirtualHost(name="a", domains=("a",), routes=routes)]
    for headers, name in (({"x": "1"}, "special"), ({}, "rest")):
        found = decide(hosts, "a", "GET", "/", headers)
        assert found is not None
        assert found.name == name
