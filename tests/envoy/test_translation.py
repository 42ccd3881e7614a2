"""From manifests to Envoy's resources: every sample is accepted by the real Envoy, and defaults are Istio's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from meshtest_envoy import envoy
from meshtest_envoy.plane import widened
from meshtest_envoy.xds import clusters, names
from meshtest_envoy.xds.clusters import Replica
from meshtest_envoy.xds.snapshot import Snapshot, Translator, tcp_listeners

from meshtest.errors import ConfigRejected
from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read, read_text
from meshtest.model.document import Documents
from meshtest.model.route import Destination, Route, RouteTable
from meshtest.model.topology import Topology
from tests.web import SERVICE, deployment, joined

WEB = joined(SERVICE, deployment("v1"))


def topology_of(*texts: str) -> Topology:
    documents = Documents()
    for number, text in enumerate(texts):
        documents = documents.apply(read_text(text, f"{number}.yaml"))
    return compile(documents).topology


def translate(topology: Topology) -> Snapshot:
    replicas = [
        Replica(pod=f"{w.name}-0", workload=w, service=names.app_service(topology, w), ready=True,
                sockets={p: f"/tmp/in/{w.name}.{p}" for p, _ in names.target_ports(topology, w)},
                ports={p: 10_000 + i for i, (p, _) in enumerate(names.target_ports(topology, w))})
        for w in topology.workloads
    ]  # fmt: skip
    ports = {name: 20_000 + number for number, name in enumerate(tcp_listeners(topology))}
    return Translator(hops="/dev/null").snapshot(topology, replicas, ports)


def rule(text: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: web}}
spec:
  hosts: [web]
  http:
  - {text}
"""


def web_routes(snapshot: Snapshot) -> list[Any]:
    hosts = snapshot.routes["outbound_default"]["virtual_hosts"]
    found = next(h for h in hosts if h["name"] == "web.default.svc.cluster.local:80")
    return list(found["routes"])


def test_clusters_carry_istios_names_and_defaults() -> None:
    made = translate(topology_of(WEB)).clusters["outbound|80||web.default.svc.cluster.local"]
    limits = made["circuit_breakers"]["thresholds"][0]
    assert made["lb_policy"] == "LEAST_REQUEST"
    assert made["connect_timeout"] == "10s"
    assert {limits[k] for k in ("max_connections", "max_pending_requests", "max_requests", "max_retries")} == {
        2**32 - 1
    }


def test_a_service_without_a_virtual_service_gets_istios_retries_and_no_timeout() -> None:
    action = web_routes(translate(topology_of(WEB)))[0]["route"]
    assert action["timeout"] == "0s"
    assert action["retry_policy"]["num_retries"] == 2
    assert action["retry_policy"]["retry_on"] == (
        "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
    )
    assert "retriable_status_codes" not in action["retry_policy"]


def test_one_destination_ignores_its_weight_and_zero_weights_are_dropped() -> None:
    text = "{route: [{destination: {host: web}, weight: 1}]}"
    assert "cluster" in web_routes(translate(topology_of(WEB, rule(text))))[0]["route"]
    text = (
        "{route: [{destination: {host: web}, weight: 90}, {destination: {host: web, port: {number: 80}}, weight: 0}]}"
    )
    weighted = web_routes(translate(topology_of(WEB, rule(text))))[0]["route"]
    assert weighted.get("cluster") or [c["weight"] for c in weighted["weighted_clusters"]["clusters"]] == [90]


def test_routes_for_some_callers_name_them() -> None:
    text = "{match: [{sourceLabels: {app: web}}], route: [{destination: {host: web}}], timeout: 3s}"
    conditions = [r["match"].get("filter_state") for r in web_routes(translate(topology_of(WEB, rule(text))))]
    assert all(conditions), "each route is for named callers"
    told = [c[0]["string_match"]["safe_regex"]["regex"] for c in conditions]
    assert any("default/web-v1" in t for t in told)
    assert any("default/meshtest-client" in t for t in told)


def test_a_route_to_nowhere_is_refused_by_us_because_envoy_would_serve_503() -> None:
    topology = topology_of(WEB)
    nowhere = Route(destinations=(Destination(host="gone.default.svc.cluster.local", port=80),))
    table = RouteTable(name="x", namespace="default", hosts=("web.default.svc.cluster.local",), routes=(nowhere,))
    with pytest.raises(ConfigRejected, match=r"unknown cluster 'outbound\|80\|\|gone"):
        translate(Topology(services=topology.services, workloads=topology.workloads, tables=(table,)))


def test_a_named_target_port_is_found_in_the_container() -> None:
    workload = topology_of(WEB.replace("{containerPort: 8080}", "{containerPort: 8080, name: main}")).workloads[0]
    assert names.target_number(workload, "main") == 8080
    assert names.target_number(workload, "other") is None


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0s"), (7.0, "7s"), (0.0005, "0.0005s"), (90.25, "90.25s"), (100.0, "100s")]
)
def test_durations_are_protobufs(value: float, text: str) -> None:
    assert clusters.seconds(value) == text


def static(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as a static configuration, for `envoy --mode validate`."""

    def inline(listener: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(listener)
        for name, routes in snapshot.routes.items():
            told = json.dumps({k: v for k, v in routes.items() if k != "@type"})
            text = text.replace(json.dumps({"route_config_name": name, "config_source": clusters.ADS}), told)
        return dict(discovered(json.loads(text.replace('"rds": ', '"route_config": '))))

    def discovered(node: Any) -> Any:
        """Filters with the configuration that Envoy would discover by their name."""
        if isinstance(node, list):
            return [discovered(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "config_discovery" in node:
            return {"name": node["name"], "typed_config": snapshot.filters[node["name"]]["typed_config"]}
        return {key: discovered(value) for key, value in node.items()}

    def pinned(cluster: dict[str, Any]) -> dict[str, Any]:
        changed = {k: v for k, v in cluster.items() if k != "eds_cluster_config"}
        return changed | {"type": "STATIC"} if cluster["type"] == "EDS" else cluster

    def untyped(resource: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in resource.items() if k != "@type"}

    return {
        "static_resources": {
            "clusters": [untyped(pinned(c)) for c in snapshot.clusters.values()],
            "listeners": [untyped(inline(listener)) for listener in snapshot.listeners.values()],
        }
    }


BOOKINFO = ["platform/kube/bookinfo.yaml", "networking/destination-rule-all.yaml", "networking/bookinfo-gateway.yaml"]


@pytest.mark.parametrize(
    "rules",
    ["all-v1", "reviews-80-20", "reviews-50-v3", "reviews-90-10", "reviews-v3", "reviews-test-v2",
     "reviews-jason-v2-v3", "ratings-test-delay", "ratings-test-abort", "reviews-v2-v3"],
)  # fmt: skip
def test_envoy_accepts_the_translation_of_every_bookinfo_rule(corpora: Path, tmp_path: Path, rules: str) -> None:
    folder = corpora / "istio" / "samples" / "bookinfo"
    files = [*BOOKINFO, f"networking/virtual-service-{rules}.yaml"]
    compiled = compile(read(*(str(folder / f) for f in files)))
    assert validated(translate(compiled.topology), tmp_path) == "OK"


def validated(snapshot: Snapshot, tmp_path: Path) -> str:
    path = tmp_path / "envoy.json"
    path.write_text(json.dumps(static(snapshot)))
    command = [envoy.binary(), "-c", path, "--mode", "validate", "--disable-hot-restart"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return "OK" if done.returncode == 0 else done.stderr + done.stdout


GRPC = WEB.replace("{name: http, port: 80, targetPort: 8080}", "{name: grpc, port: 80, targetPort: 8080}")
HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def test_a_grpc_port_is_http2_all_the_way_to_the_process() -> None:
    made = translate(topology_of(GRPC)).clusters
    for name in ("outbound|80||web.default.svc.cluster.local", "inbound|8080||web-v1-0"):
        assert made[name]["typed_extension_protocol_options"][HTTP2]["explicit_http_config"].keys() == {
            "http2_protocol_options"
        }
    assert "typed_extension_protocol_options" not in translate(topology_of(WEB)).clusters["inbound|8080||web-v1-0"]


def test_a_tcp_port_has_no_routes_and_callers_connect_to_it() -> None:
    made = translate(topology_of(WEB.replace("{name: http, port: 80", "{name: tcp, port: 80")))
    assert "inbound_web-v1-0_8080" not in made.routes
    (host,) = [h for h in made.routes["outbound_default"]["virtual_hosts"] if h["name"].endswith("|tcp")]
    assert "web:80" in host["domains"]
    assert host["routes"][0]["match"] == {"connect_matcher": {}}


def test_a_mesh_in_plain_text_has_no_secrets_and_looks_at_no_first_bytes() -> None:
    made = translate(topology_of(WEB))
    assert made.secrets == {}
    assert not any("listener_filters" in listener for listener in made.listeners.values())
    assert not any("transport_socket_matches" in cluster for cluster in made.clusters.values())


STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
"""


def test_in_mutual_tls_every_caller_has_a_socket_and_every_socket_a_secret() -> None:
    made = translate(topology_of(WEB, STRICT))
    own = {"spiffe://cluster.local/ns/default/sa/default", "spiffe://cluster.local/ns/default/sa/meshtest-client"}
    cluster = made.clusters["outbound|80||web.default.svc.cluster.local"]
    assert {match["name"] for match in cluster["transport_socket_matches"]} == own | {"plaintext"}
    assert made.secrets.keys() == own | {"ROOTCA"}


def test_while_a_listener_changes_it_takes_what_both_take() -> None:
    plain, strict = (translate(topology_of(*t)).listeners["inbound_web-v1-0_8080"] for t in ([WEB], [WEB, STRICT]))
    both = widened(plain, strict)
    matches = [chain.get("filter_chain_match") for chain in both["filter_chains"]]
    assert None in matches
    assert len(matches) == 3
    assert both["listener_filters"] == strict["listener_filters"]
    assert widened(strict, plain)["filter_chains"][0] == plain["filter_chains"][0], "the plain chain is the same"
