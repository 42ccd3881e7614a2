"""The service graph: what becomes an edge, what does not, and what is said of an edge that is not there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf
from typing import Any

import pytest

from meshtest.model.graph import Edge, Graph, NotInGraph
from meshtest.model.history import HOP_FIELDS, Event, History, Hop, Hops
from meshtest.model.request import UNKNOWN_SERVER, Fate, Server, Transport
from meshtest.telemetry.graph import graph_of
from tests.checks.histories import history, hop, request

WEB1, WEB2 = Server("web", "v1", "web-v1-0"), Server("web", "v2", "web-v2-0")
PRICE1, PRICE2 = Server("price", "v1", "price-v1-0"), Server("price", "v2", "price-v2-0")
CLIENT = "default/meshtest-client"
SPIFFE = "spiffe://cluster.local/ns/default/sa/default"


def pods(*servers: Server, at: float = 0.0, ready: bool = True) -> list[Event]:
    found = []
    for s in servers:
        data = {"workload": f"default/{s.service}-{s.version}", "service": s.service, "version": s.version}
        found += [Event(at, "pod.start", s.pod, data)] + [Event(at, "pod.ready", s.pod)] * ready
    return found


def config(shares: dict[str, dict[str, float]], at: float = 0.0, number: int = 1) -> list[Event]:
    data = {"number": number, "shares": shares}
    return [Event(at, "config.apply", data=data), Event(at, "config.ack", data={"number": number})]


def started(source: str = "", **more: Any) -> Event:
    return Event(0.0, "load.start", "load", {"load": "load", "source": source, "target": "web", **more})


def passing(index: int, *chain: tuple[str, str, Server], at: float = 0.0, **more: Any) -> list[Hop]:
    """The hops of a request: direction, proxy, server - and the arrival at each server."""
    hops = []
    for step, (direction, proxy, server) in enumerate(chain):
        values = {"cluster": f"outbound|80||{server.service}.default.svc.cluster.local", **more}
        hops.append(hop(index, at + step / 1000, server, direction, proxy=proxy, **values))
        hops.append(hop(index, at + step / 1000, server, "inbound", proxy=server.pod, cluster="inbound|80||x"))
    return hops


def shop(requests: int = 10) -> History:
    """client -> web@v1 -> price@v1, price@v2 has the mirror."""
    hops = []
    for i in range(requests):
        hops += passing(i, ("outbound", CLIENT, WEB1), ("outbound", "default/web-v1", PRICE1), at=i / 10)
        hops.append(hop(i, i / 10 + 0.002, PRICE2, "inbound", proxy=PRICE2.pod))
    return history(
        [request(i, i / 10, WEB1) for i in range(requests)],
        [*pods(WEB1, PRICE1, PRICE2), started(), *config({"web": {"v1": 100.0}, "price": {"v1": 100.0}})],
        hops,
    )


def edge(graph: Graph, source: str, target: str, *, mirrored: bool = False) -> Edge:
    (found,) = [e for e in graph.edges if (e.source, e.target, e.mirrored) == (source, target, mirrored)]
    return found


class TestEdges:
    def test_a_request_is_counted_once_at_each_step_of_its_way(self) -> None:
        graph = graph_of(shop(10))
        assert {(e.source, e.target, e.requests) for e in graph.edges if not e.mirrored} == {
            ("client", "web@v1", 10), ("web@v1", "price@v1", 10),
        }  # fmt: skip
        assert graph["web@v1"].calls["price@v1"].failed == 0
        assert graph["price@v1"].callers["web@v1"].requests == graph["price@v1"].requests == 10

    def test_a_copy_is_told_from_a_call(self) -> None:
        graph = graph_of(shop(10))
        assert edge(graph, "web@v1", "price@v2", mirrored=True).requests == 10
        assert graph["web@v1"].mirrors["price@v2"].requests == 10
        assert "price@v2" not in graph["web@v1"].calls

    def test_copies_are_told_from_calls_where_a_version_gets_both(self) -> None:
        hops = [*passing(1, ("outbound", CLIENT, WEB1)), hop(1, 0.1, WEB2, "inbound", proxy="web-v2-0")]
        hops += passing(2, ("outbound", CLIENT, WEB2))
        graph = graph_of(history([request(1, 0.0, WEB1), request(2, 0.1, WEB2)], [*pods(WEB1, WEB2)], hops))
        assert edge(graph, "client", "web@v2").requests == 1
        assert edge(graph, "client", "web@v2", mirrored=True).requests == 1

    def test_a_try_that_another_version_got_is_no_copy(self) -> None:
        hops = [
            hop(1, 0.0, WEB1, proxy=CLIENT, attempts=2),
            hop(1, 0.0, WEB2, "inbound", proxy="web-v2-0", status=503),
            hop(1, 0.1, WEB1, "inbound", proxy="web-v1-0"),
        ]
        graph = graph_of(history([request(1, 0.0, WEB1)], pods(WEB1, WEB2), hops))
        assert not any(e.mirrored for e in graph.edges)
        assert edge(graph, "client", "web@v1").retries == 1

    def test_arrivals_that_no_proxy_sent_come_from_somebody_unknown(self) -> None:
        graph = graph_of(history(events=pods(PRICE1), hops=[hop(1, 0.0, PRICE1, "inbound", proxy="price-v1-0")]))
        assert edge(graph, "unknown", "price@v1").requests == 1

    def test_what_the_client_waited_is_on_its_edge_and_what_proxies_saw_on_the_others(self) -> None:
        slow = [request(i, i / 10, WEB1, latency=0.25) for i in range(10)]
        hops = shop(10).hops
        graph = graph_of(history(slow, [*pods(WEB1, PRICE1, PRICE2), started()], hops))
        assert edge(graph, "client", "web@v1").p50 == 0.25
        assert edge(graph, "web@v1", "price@v1").p99 == 0.001

    def test_a_request_that_reached_nobody_is_an_edge_to_where_it_was_to_go(self) -> None:
        lost = hop(
            1,
            0.0,
            UNKNOWN_SERVER,
            proxy="default/web-v1",
            status=503,
            flags="UH",
            cluster="outbound|80|v2|price.default.svc.cluster.local",
        )
        graph = graph_of(history(events=pods(WEB1, PRICE1), hops=[lost]))
        found = edge(graph, "web@v1", "price@v2")
        assert (found.requests, found.failed, dict(found.flags), found.mtls) == (1, 1, {"UH": 1}, None)

    def test_a_host_that_no_rule_knows_is_called_as_it_was_asked_for(self) -> None:
        lost = hop(
            1, 0.0, UNKNOWN_SERVER, proxy="default/web-v1", status=502, cluster="-", authority="api.example.com:443"
        )
        graph = graph_of(history(events=pods(WEB1), hops=[lost]))
        assert graph["api.example.com"].node.kind == "unknown"

    def test_a_failure_of_the_client_finds_its_version_in_the_proxys_record(self) -> None:
        hops = [hop(1, 0.0, WEB2, proxy=CLIENT, status=0, flags="DC")]
        graph = graph_of(history([request(1, 0.0, fate=Fate.TIMEOUT)], [*pods(WEB1, WEB2), started()], hops))
        found = edge(graph, "client", "web@v2")
        assert (found.requests, found.failed, dict(found.flags)) == (1, 1, {"DC": 1, "timeout": 1})
        assert found.p50 == inf

    def test_a_request_that_never_reached_a_proxy_goes_to_the_loads_target(self) -> None:
        graph = graph_of(history([request(1, 0.0, fate=Fate.REFUSED)], [*pods(WEB1), started()]))
        assert edge(graph, "client", "web").failed == 1

    def test_a_load_from_outside_comes_by_its_gateway(self) -> None:
        hops = passing(1, ("gateway", "gateway_8080", WEB1), ("outbound", "default/web-v1", PRICE1))
        events = [*pods(WEB1, PRICE1), started("ingress/8080")]
        graph = graph_of(history([request(1, 0.0, WEB1)], events, hops))
        assert [(e.source, e.target) for e in graph.edges] == [
            ("client", "gateway:8080"), ("gateway:8080", "web@v1"), ("web@v1", "price@v1"),
        ]  # fmt: skip
        assert [n.kind for n in graph.nodes] == ["client", "gateway", "workload", "workload"]

    def test_a_load_that_sends_as_a_workload_is_that_workloads_calls(self) -> None:
        hops = passing(1, ("outbound", "default/web-v1", PRICE1))
        graph = graph_of(history([request(1, 0.0, PRICE1)], [*pods(WEB1, PRICE1), started("web")], hops))
        assert [(e.source, e.target, e.requests) for e in graph.edges] == [("web@v1", "price@v1", 1)]

    def test_mutual_tls_is_all_or_not_or_not_known(self) -> None:
        def of(*principals: str) -> bool | None:
            hops = [hop(i, 0.0, PRICE1, proxy="default/web-v1", principal=p) for i, p in enumerate(principals)]
            return edge(graph_of(history(events=pods(WEB1, PRICE1), hops=hops)), "web@v1", "price@v1").mtls

        assert (of(SPIFFE, SPIFFE), of(SPIFFE, ""), of("")) == (True, False, False)

    def test_connections_are_judged_by_their_flags_and_requests_by_their_status(self) -> None:
        more = {"proxy": "default/web-v1", "request_id": "-", "status": 0}
        hops = [hop(1, 0.0, PRICE1, method="TCP", **more), hop(2, 0.0, PRICE1, method="TCP", flags="UC", **more)]
        found = edge(graph_of(history(events=pods(WEB1, PRICE1), hops=hops)), "web@v1", "price@v1")
        assert (found.requests, found.failed, found.protocols, found.unlinked) == (2, 1, ("tcp",), 0)

    def test_the_protocols_of_a_load_are_those_it_spoke(self) -> None:
        requests = [request(1, 0.0, WEB1, transport=Transport.GRPC), request(2, 0.0, WEB1, transport=Transport.HTTP2)]
        assert edge(graph_of(history(requests, pods(WEB1))), "client", "web@v1").protocols == ("grpc", "http")

    def test_a_window_has_its_own_graph_and_rate(self) -> None:
        graph = graph_of(shop(10), 0.0, 0.5)
        assert (graph.start, graph.end) == (0.0, 0.5)
        assert edge(graph, "web@v1", "price@v1").rate == 10.0
        assert edge(graph, "client", "web@v1").requests == 5

    def test_nothing_gives_an_empty_graph(self) -> None:
        assert graph_of(History()) == Graph((), (), (), 0.0, 0.0)


class TestStored:
    """Hops as they stand in a file give what the same hops as objects give."""

    def test_lines_and_objects_agree(self) -> None:
        seen = shop(20)
        lines = ["\t".join(_fields(h)) for h in seen.hops]
        stored = History(seen.events, seen.requests, Hops(lines, wall_start=0.0))
        assert graph_of(stored) == graph_of(seen)
        assert graph_of(stored, 0.5, 1.0).edges == graph_of(seen, 0.5, 1.0).edges


def _fields(h: Hop) -> Sequence[str]:
    server = f"{h.server.service}/{h.server.version}/{h.server.pod}"
    values = {"milliseconds": round(h.seconds * 1000), "server": server, "principal": h.principal or "-"}
    return [str(values.get(name, getattr(h, name, ""))) for name in HOP_FIELDS]


class TestMissing:
    def reason(self, graph: Graph, target: str) -> tuple[str, str, str]:
        (found,) = [m for m in graph.missing if m.target == target]
        return found.source, found.reason, found.text

    def test_nobody_called_it(self) -> None:
        graph = graph_of(history([request(1, 0.0, WEB1)], [*pods(WEB1, PRICE1), *config({"price": {"v1": 100.0}})]))
        hopless = self.reason(graph, "price@v1")
        assert hopless[1] == "no-hop"
        hops = passing(1, ("outbound", CLIENT, WEB1))
        graph = graph_of(
            history([request(1, 0.0, WEB1)], [*pods(WEB1, PRICE1), *config({"price": {"v1": 100.0}})], hops)
        )
        assert self.reason(graph, "price@v1") == ("", "no-traffic", "nobody sent a request to price")

    def test_where_calls_begin_nobody_is_missing(self) -> None:
        hops = passing(1, ("outbound", "default/web-v1", PRICE1))
        events = [*pods(WEB1, PRICE1), started("web"), *config({"web": {"v1": 100.0}, "price": {"v1": 100.0}})]
        assert graph_of(history([request(1, 0.0, PRICE1)], events, hops)).missing == ()

    def test_a_version_without_a_ready_pod(self) -> None:
        events = [*pods(WEB1), *pods(WEB2, ready=False), *config({"web": {"v1": 50.0, "v2": 50.0}})]
        graph = graph_of(history([request(i, i / 10, WEB1) for i in range(50)], events))
        assert self.reason(graph, "web@v2")[:2] == ("client", "no-endpoints")

    def test_requests_that_chose_no_version_are_no_chance(self) -> None:
        events = [*pods(WEB1, WEB2), *config({"web": {"v1": 50.0, "v2": 50.0}})]
        hops = [hop(1, 0.0, UNKNOWN_SERVER, proxy=CLIENT, status=503, flags="FI", cluster="-", authority="web")]
        graph = graph_of(history([request(1, 0.0, UNKNOWN_SERVER, status=503)], events, hops))
        assert {(m.target, m.reason) for m in graph.missing} == {("web@v1", "no-traffic"), ("web@v2", "no-traffic")}

    def test_a_small_weight_of_few_requests_is_chance(self) -> None:
        events = [*pods(WEB1, WEB2), *config({"web": {"v1": 99.0, "v2": 1.0}})]
        graph = graph_of(history([request(i, i / 10, WEB1) for i in range(20)], events))
        assert self.reason(graph, "web@v2") == (
            "client", "by-chance",
            "v2 was meant to get 1 % of 20 requests to web: that none went there happens 81.8 % of the time",
        )  # fmt: skip

    def test_a_weight_that_is_not_in_force_is_no_chance(self) -> None:
        events = [*pods(WEB1, WEB2), *config({"web": {"v1": 50.0, "v2": 50.0}})]
        graph = graph_of(history([request(i, i / 10, WEB1) for i in range(50)], events))
        assert self.reason(graph, "web@v2")[1] == "not-routed"

    def test_a_weight_of_another_time_is_not_expected(self) -> None:
        events = [*pods(WEB1, WEB2), *config({"web": {"v1": 100.0}}), *config({"web": {"v2": 100.0}}, 9.0, 2)]
        graph = graph_of(history([request(i, i / 10, WEB1) for i in range(50)], events), 0.0, 6.0)
        assert [m.reason for m in graph.missing] == ["not-routed"], "idle, and no weight leads there"
        assert "no weight leads to web@v2" in graph.missing[0].text

    def calls(self, web2: Sequence[Hop] = ()) -> Graph:
        """web@v1 calls price; web@v2 has what is given."""
        hops = [*passing(1, ("outbound", CLIENT, WEB1), ("outbound", "default/web-v1", PRICE1)), *web2]
        return graph_of(history(events=pods(WEB1, WEB2, PRICE1), hops=hops))

    def test_a_caller_that_got_no_request(self) -> None:
        found = {(m.source, m.target): m.reason for m in self.calls().missing}
        assert found["web@v2", "price@v1"] == "caller-not-reached"

    def test_a_caller_whose_requests_were_denied(self) -> None:
        denied = [
            hop(2, 0.0, WEB2, proxy=CLIENT, status=403),
            hop(2, 0.0, WEB2, "inbound", proxy="web-v2-0", status=403, attempts=0),
        ]
        graph = self.calls(denied)
        assert self.reason(graph, "price@v1") == (
            "web@v2", "caller-denied", "all 1 request to web@v2 were denied by its proxy (403)",
        )  # fmt: skip
        assert edge(graph, "client", "web@v2").denied == 1

    def test_a_caller_that_does_not_call(self) -> None:
        graph = self.calls(passing(2, ("outbound", CLIENT, WEB2)))
        assert self.reason(graph, "price@v1") == (
            "web@v2", "not-called", "web@v2 got 1 request and called price for none, as web@v1 does",
        )  # fmt: skip

    def test_a_call_past_the_proxies(self) -> None:
        more = [*passing(2, ("outbound", CLIENT, WEB2)), hop(3, 0.0, PRICE1, "inbound", proxy="price-v1-0")]
        assert self.reason(self.calls(more), "price@v1")[:2] == ("web@v2", "no-hop")

    def test_headers_that_are_not_passed_on(self) -> None:
        hops = [hop(1, 0.0, PRICE1, proxy="default/web-v1", request_id="-")]
        graph = graph_of(history(events=pods(WEB1, PRICE1, PRICE2), hops=hops))
        assert graph["web@v1"].calls["price@v1"].unlinked == 1
        assert self.reason(graph, "price@v2") == (
            "web@v1", "not-propagated",
            "web@v1 passes no headers on: none of its 1 call has a request id, so "
            "no rule by header can lead to price@v2",
        )  # fmt: skip

    def test_asking_for_it_tells_the_reason(self) -> None:
        with pytest.raises(NotInGraph, match=r"no edge web@v2 -> price@v1: web@v2 got no request, so it called nobody"):
            self.calls()["web@v2"].calls["price@v1"]
        with pytest.raises(NotInGraph, match=r"'web@v3' is not in the graph; there are: .* \(did you mean 'web@v"):
            self.calls()["web@v3"]


class TestData:
    def test_it_is_json_without_infinities(self) -> None:
        lost = history([request(1, 0.0, fate=Fate.TIMEOUT)], [*pods(WEB1), started()])
        data = json.loads(json.dumps(graph_of(lost).as_data(), allow_nan=False))
        assert data["edges"][0]["p99"] is None
        assert data["edges"][0]["flags"] == {"timeout": 1}
