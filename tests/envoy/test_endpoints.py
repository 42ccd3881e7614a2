"""Endpoints that are no pods, and which of them callers in different places prefer; on the real Envoy."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy.xds import localities

from meshtest import Mesh
from meshtest.model.policy import HostPolicy, LoadBalancing, LocalityBalancing, OutlierDetection, Subset, TrafficPolicy
from meshtest.model.route import Destination, Route, RouteTable
from meshtest.model.service import Endpoint, Service, ServicePort

BANK = "bank.example.com"


class Named(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = self.server.name.encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def address_string(self) -> str:
        return "unix"


class Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    server_name, server_port = "unix", 0


@contextlib.contextmanager
def serving(*servers: socketserver.BaseServer) -> Iterator[None]:
    threads = [threading.Thread(target=s.serve_forever, daemon=True) for s in servers]
    for thread in threads:
        thread.start()
    yield
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


def web(name: str) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Named)
    server.daemon_threads, server.name = True, name  # type: ignore[attr-defined]
    return server


def bank(*endpoints: Endpoint, resolution: Any = "STATIC", port: int = 80, host: str = BANK) -> dict[str, Any]:
    own = ServicePort(number=80, name="http", target=port)
    service = Service(
        name="bank", host=host, ports=(own,), selector={}, external=True, resolution=resolution, endpoints=endpoints
    )
    route = Route(destinations=(Destination(host=host, port=80),))
    return {
        "services": (service,),
        "tables": (RouteTable(name="bank", namespace="default", hosts=(host,), routes=(route,)),),
    }


def at(server: http.server.ThreadingHTTPServer, address: str = "127.0.0.1", **more: Any) -> Endpoint:
    return Endpoint(address=address, ports=(("http", server.server_port),), **more)


def ask(mesh: Mesh, source: str = "", host: str = BANK) -> str:
    entrance = mesh.provider.entrance(source)
    connection = http.client.HTTPConnection(entrance.address, entrance.port, timeout=10)
    connection.request("GET", "/", headers={"host": host})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return text if answer.status == 200 else str(answer.status)


def test_addresses_names_and_unix_sockets_are_endpoints(mesh: Mesh, tmp_path: Path) -> None:
    mesh.open()
    path = f"/tmp/{tmp_path.name}.sock"
    Path(path).unlink(missing_ok=True)
    unix, server = Unix(path, Named), web("a")
    unix.name = "unix"  # type: ignore[attr-defined]
    with serving(server, unix):
        cases = {
            "address": bank(at(server)),
            "unix": bank(Endpoint(address=f"unix://{path}")),
            "dns": bank(at(server, "localhost"), resolution="DNS"),
            "logical dns": bank(at(server, "localhost"), resolution="DNS_ROUND_ROBIN"),
            "the host itself": bank(resolution="DNS", port=server.server_port, host="localhost"),
            "as the caller says": bank(resolution="NONE", port=server.server_port, host="localhost"),
        }
        for name, parts in cases.items():
            mesh.provider.apply(replace(mesh.topology, **parts))
            host = parts["services"][0].host
            mesh_ask = [ask(mesh, host=host) for _ in range(20)]
            assert mesh_ask[-1] == ("unix" if name == "unix" else "a"), name
        mesh.provider.apply(replace(mesh.topology, **bank()))
        assert ask(mesh) == "503"
    Path(path).unlink()


def test_a_subset_takes_endpoints_by_their_labels_and_weights_count(mesh: Mesh) -> None:
    mesh.open()
    one, two = web("one"), web("two")
    with serving(one, two):
        parts = bank(at(one, labels={"version": "v1"}, weight=1), at(two, labels={"version": "v2"}, weight=9))
        subsets = tuple(Subset(name=v, labels={"version": v}) for v in ("v1", "v2"))
        route = Route(destinations=(Destination(host=BANK, port=80, subset="v2"),))
        policy = HostPolicy(
            host=BANK, subsets=subsets, policy=TrafficPolicy(load_balancing=LoadBalancing(algorithm="ROUND_ROBIN"))
        )
        mesh.provider.apply(replace(mesh.topology, policies={BANK: policy}, **parts))
        assert 30 <= Counter(ask(mesh) for _ in range(50))["two"] < 50
        tables = (replace(parts["tables"][0], routes=(route,)),)
        mesh.provider.apply(replace(mesh.topology, policies={BANK: policy}, **{**parts, "tables": tables}))
        assert {ask(mesh) for _ in range(10)} == {"two"}


CALLERS = "---".join(
    f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}, istio-locality: {place}}}}}
    spec: {{containers: [{{name: a, image: "example/a:1"}}]}}
"""
    for name, place in (("east", "us.east"), ("west", "us.west"), ("abroad", "eu.north"))
)


def balanced(**setting: Any) -> dict[str, HostPolicy]:
    outlier = OutlierDetection(consecutive_5xx=2, base_ejection_time=60, max_ejection_percent=100)
    lb = LoadBalancing(locality=LocalityBalancing(**setting))
    return {BANK: HostPolicy(host=BANK, policy=TrafficPolicy(load_balancing=lb, outlier_detection=outlier))}


def test_each_caller_stays_in_its_place_and_fails_over_by_distance(mesh: Mesh) -> None:
    mesh.apply(text=CALLERS)
    east, west, north = web("east"), web("west"), web("north")
    with serving(west, north):
        with serving(east):
            parts = bank(at(east, locality="us/east"), at(west, locality="us/west"), at(north, locality="eu/north"))
            mesh.provider.apply(replace(mesh.topology, policies=balanced(), **parts))
            for source, own in (("east", "east"), ("west", "west"), ("abroad", "north")):
                assert {ask(mesh, source) for _ in range(5)} == {own}
            assert len({ask(mesh) for _ in range(60)}) == 3, "a client in no place prefers none"
        answers = [ask(mesh, "east") for _ in range(10)]
        assert answers[-5:] == ["west"] * 5, "the same region comes before the others"
        assert {ask(mesh, "abroad") for _ in range(5)} == {"north"}


def test_without_outlier_detection_nothing_prefers_a_place(mesh: Mesh) -> None:
    mesh.apply(text=CALLERS)
    east, west = web("east"), web("west")
    with serving(east, west):
        parts = bank(at(east, locality="us/east"), at(west, locality="us/west"))
        policy = {
            BANK: HostPolicy(
                host=BANK, policy=TrafficPolicy(load_balancing=LoadBalancing(locality=LocalityBalancing()))
            )
        }
        mesh.provider.apply(replace(mesh.topology, policies=policy, **parts))
        assert {ask(mesh, "east") for _ in range(60)} == {"east", "west"}


def test_a_distribution_sends_shares_to_places(mesh: Mesh) -> None:
    mesh.apply(text=CALLERS)
    east, west = web("east"), web("west")
    with serving(east, west):
        parts = bank(at(east, locality="us/east"), at(west, locality="us/west"))
        shares = (("us/east", (("us/east", 20), ("us/west", 80))), ("us/west/*", (("us/east", 100),)))
        mesh.provider.apply(replace(mesh.topology, policies=balanced(distribute=shares), **parts))
        seen = Counter(ask(mesh, "east") for _ in range(100))
        assert 55 <= seen["west"] <= 97, "80 of 100 give or take"
        assert {ask(mesh, "west") for _ in range(10)} == {"east"}


@pytest.mark.parametrize(
    ("own", "other", "failover", "distance"),
    [
        ("us/east/a", "us/east/a", (), 0),
        ("us/east/a", "us/east/b", (), 1),
        ("us/east", "us/west", (), 2),
        ("us/east", "eu/east", (), 3),
        ("us/east", "eu/east", (("us", "eu"),), 3),
        ("us/east", "asia/east", (("us", "eu"),), 4),
    ],
)
def test_distance_is_istios(own: str, other: str, failover: Any, distance: int) -> None:
    view = localities.View("", own, {}, ())
    there = localities.Located(other, {}, {})
    assert localities.distance(LocalityBalancing(failover=failover), view, there) == distance


def test_failover_priority_counts_labels_that_agree_from_the_first_on() -> None:
    setting = LocalityBalancing(failover_priority=("topology.kubernetes.io/region", "version=v2", "tier"))
    view = localities.View("", "us/east", {"topology.kubernetes.io/region": "us", "tier": "gold"}, ())
    hosts = {
        0: localities.Located("us/west", {"version": "v2", "tier": "gold"}, {}),
        1: localities.Located("us/west", {"version": "v2", "tier": "tin"}, {}),
        2: localities.Located("us/west", {"version": "v1", "tier": "gold"}, {}),
        3: localities.Located("eu/west", {"version": "v2", "tier": "gold"}, {}),
    }
    assert {k: localities.distance(setting, view, host) for k, host in hosts.items()} == {0: 0, 1: 1, 2: 2, 3: 3}
