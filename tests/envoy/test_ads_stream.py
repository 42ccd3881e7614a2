"""What one Envoy is sent and has acknowledged: the protocol's rules, without sockets."""

from __future__ import annotations

from typing import Any

from meshtest_envoy.ads.descriptors import message_class
from meshtest_envoy.ads.stream import CLUSTER, ROUTES, Stream
from meshtest_envoy.xds.names import TYPE_URL

Json = dict[str, Any]


def cluster(name: str, timeout: str = "1s") -> Json:
    return {"@type": TYPE_URL + "envoy.config.cluster.v3.Cluster", "name": name, "connect_timeout": timeout}


def routes(name: str, status: int = 200) -> Json:
    answer = {"name": "r", "match": {"prefix": "/"}, "direct_response": {"status": status}}
    host = {"name": "h", "domains": ["*"], "routes": [answer]}
    return {"@type": TYPE_URL + "envoy.config.route.v3.RouteConfiguration", "name": name, "virtual_hosts": [host]}


def request(type_url: str, *names: str, nonce: str = "", error: str = "") -> Any:
    result = message_class("envoy.service.discovery.v3.DiscoveryRequest")(
        type_url=type_url, resource_names=names, response_nonce=nonce
    )
    if error:
        result.error_detail.message = error
    return result


def test_nothing_is_sent_before_envoy_asks() -> None:
    stream = Stream()
    stream.put(CLUSTER, {"a": cluster("a")})
    assert stream.pending(CLUSTER) is None


def test_a_change_is_reached_when_its_response_is_acknowledged() -> None:
    stream = Stream()
    stream.receive(request(CLUSTER))
    goal = stream.put(CLUSTER, {"a": cluster("a")})
    response: Any = stream.pending(CLUSTER)
    assert stream.missing(CLUSTER, goal) == ["a"]
    stream.receive(request(CLUSTER, nonce=response.nonce))
    assert stream.missing(CLUSTER, goal) == []
    assert stream.pending(CLUSTER) is None


def test_an_old_acknowledgement_does_not_cover_a_newer_change() -> None:
    stream = Stream()
    stream.receive(request(ROUTES, "r"))
    stream.put(ROUTES, {"r": routes("r")})
    first: Any = stream.pending(ROUTES)
    goal = stream.put(ROUTES, {"r": routes("r", status=404)})
    second: Any = stream.pending(ROUTES)
    stream.receive(request(ROUTES, "r", nonce=first.nonce))
    assert stream.missing(ROUTES, goal) == ["r"]
    stream.receive(request(ROUTES, "r", nonce=second.nonce))
    assert stream.missing(ROUTES, goal) == []


def test_routes_are_sent_one_by_one_and_clusters_all_together() -> None:
    stream = Stream()
    stream.receive(request(ROUTES, "r", "s"))
    stream.receive(request(CLUSTER))
    for type_url, make in ((ROUTES, routes), (CLUSTER, cluster)):
        stream.put(type_url, {"r": make("r"), "s": make("s")})
        response: Any = stream.pending(type_url)
        stream.receive(request(type_url, "r", "s", nonce=response.nonce))
    stream.put(ROUTES, {"r": routes("r"), "s": routes("s", status=404)})
    stream.put(CLUSTER, {"r": cluster("r"), "s": cluster("s", timeout="2s")})
    changed, everything = stream.pending(ROUTES), stream.pending(CLUSTER)
    assert changed is not None
    assert everything is not None
    assert len(changed.resources) == 1  # type: ignore[attr-defined]
    assert len(everything.resources) == 2  # type: ignore[attr-defined]


def test_only_what_envoy_asked_for_is_sent() -> None:
    stream = Stream()
    stream.receive(request(ROUTES, "r"))
    stream.put(ROUTES, {"r": routes("r"), "other": routes("other")})
    response: Any = stream.pending(ROUTES)
    assert len(response.resources) == 1


def test_a_removed_cluster_is_news() -> None:
    stream = Stream()
    stream.receive(request(CLUSTER))
    stream.put(CLUSTER, {"a": cluster("a"), "b": cluster("b")})
    response: Any = stream.pending(CLUSTER)
    stream.receive(request(CLUSTER, nonce=response.nonce))
    stream.put(CLUSTER, {"a": cluster("a")})
    left: Any = stream.pending(CLUSTER)
    assert len(left.resources) == 1
    assert stream.pending(CLUSTER) is None


def test_a_refusal_tells_envoys_words_once_and_is_not_sent_again() -> None:
    stream = Stream()
    stream.receive(request(ROUTES, "r"))
    goal = stream.put(ROUTES, {"r": routes("r")})
    response: Any = stream.pending(ROUTES)
    stream.receive(request(ROUTES, "r", nonce=response.nonce, error="missing )"))
    assert stream.take_rejection(ROUTES) == "missing )"
    assert stream.take_rejection(ROUTES) is None
    assert stream.missing(ROUTES, goal) == ["r"]
    assert stream.pending(ROUTES) is None


def test_a_touched_resource_is_sent_again_though_it_did_not_change() -> None:
    stream = Stream()
    stream.receive(request(ROUTES, "r"))
    stream.put(ROUTES, {"r": routes("r")})
    first: Any = stream.pending(ROUTES)
    stream.receive(request(ROUTES, "r", nonce=first.nonce))
    goal = stream.put(ROUTES, {"r": routes("r")}, touch=["r"])
    assert stream.missing(ROUTES, goal) == ["r"]
    assert stream.pending(ROUTES) is not None


def test_after_a_reconnect_everything_is_sent_again() -> None:
    stream = Stream()
    stream.receive(request(ROUTES, "r"))
    goal = stream.put(ROUTES, {"r": routes("r")})
    first: Any = stream.pending(ROUTES)
    stream.receive(request(ROUTES, "r", nonce=first.nonce))
    stream.reconnect()
    assert stream.missing(ROUTES, goal) == ["r"]
    stream.receive(request(ROUTES, "r"))
    assert stream.pending(ROUTES) is not None
