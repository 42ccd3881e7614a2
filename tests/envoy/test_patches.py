"""EnvoyFilters: each operation changes what it names and nothing else, and the real Envoy does it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from meshtest_envoy.xds import names, patches, protos
from meshtest_envoy.xds.clusters import Replica
from meshtest_envoy.xds.snapshot import Snapshot, Translator, tcp_listeners

from meshtest import Mesh
from meshtest.errors import ConfigRejected, ManifestError
from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text

from .web import WEB

HTTP = "{filterChain: {filter: {name: envoy.filters.network.http_connection_manager"
LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"


def envoy_filter(patch: str, *, namespace: str = "default", selector: str = "") -> str:
    chosen = f"workloadSelector: {{labels: {selector}}}, " if selector else ""
    return f"""
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {{name: patch, namespace: {namespace}}}
spec: {{{chosen}configPatches: [{patch}]}}
"""


def translate(*texts: str) -> Snapshot:
    topology = compile(read_text("\n---\n".join(texts), "m.yaml")).topology
    replicas = [
        Replica(pod=f"{w.name}-0", workload=w, service="web", ready=True, sockets={8080: "/s"}, ports={8080: 9})
        for w in topology.workloads
    ]
    ports = {name: 20_000 + number for number, name in enumerate(tcp_listeners(topology))}
    return Translator(hops="/dev/null").snapshot(topology, replicas, ports)


def http_filters(snapshot: Snapshot, listener: str) -> list[str]:
    manager = snapshot.listeners[listener]["filter_chains"][0]["filters"][-1]
    return [f["name"].partition("|")[0].rpartition(".")[2] for f in manager["typed_config"]["http_filters"]]


INBOUND, OUTBOUND, GATEWAY = "inbound_web-v1-0_8080", "outbound_default/web-v1", "gateway_80"
USUAL = ["jwt_authn", "rbac", "rbac", "fault", "cors", "router"]


@pytest.mark.parametrize(
    ("operation", "anchor", "expected"),
    [
        ("INSERT_FIRST", "router", ["lua", *USUAL]),
        ("INSERT_BEFORE", "", ["lua", *USUAL]),
        ("INSERT_BEFORE", "envoy.filters.http.router", [*USUAL[:-1], "lua", "router"]),
        ("INSERT_BEFORE", "envoy.router", [*USUAL[:-1], "lua", "router"]),
        ("INSERT_AFTER", "envoy.filters.http.jwt_authn", ["jwt_authn", "lua", *USUAL[1:]]),
        ("INSERT_AFTER", "", [*USUAL, "lua"]),
        ("INSERT_AFTER", "envoy.filters.http.nothing", USUAL),
        ("ADD", "", [*USUAL, "lua"]),
        ("REPLACE", "envoy.filters.http.cors", ["jwt_authn", "rbac", "rbac", "fault", "lua", "router"]),
        ("REMOVE", "envoy.filters.http.rbac", ["jwt_authn", "fault", "cors", "router"]),
    ],
)
def test_an_http_filter_is_put_where_the_patch_says(operation: str, anchor: str, expected: list[str]) -> None:
    sub = f", subFilter: {{name: {anchor}}}" if anchor else ""
    value = (
        "" if operation == "REMOVE" else f', value: {{name: envoy.filters.http.lua, typed_config: {{"@type": {LUA}}}}}'
    )
    made = translate(
        WEB,
        envoy_filter(
            f"{{applyTo: HTTP_FILTER, match: {{context: SIDECAR_INBOUND, listener: {HTTP}{sub}}}}}}}}}, "
            f"patch: {{operation: {operation}{value}}}}}"
        ),
    )
    assert http_filters(made, INBOUND) == expected
    assert http_filters(made, OUTBOUND) == ["fault", "cors", "router"]
    assert http_filters(made, GATEWAY) == USUAL


def lua_at(context: str, listener: str = HTTP + "}}}") -> str:
    value = f'{{name: envoy.filters.http.lua, typed_config: {{"@type": {LUA}}}}}'
    where = f"{{context: {context}, listener: {listener}}}"
    return f"{{applyTo: HTTP_FILTER, match: {where}, patch: {{operation: INSERT_FIRST, value: {value}}}}}"


@pytest.mark.parametrize(
    ("context", "places"),
    [
        ("SIDECAR_INBOUND", {INBOUND}),
        ("SIDECAR_OUTBOUND", {OUTBOUND, "outbound_default/meshtest-client"}),
        ("GATEWAY", {GATEWAY}),
        ("ANY", {INBOUND, OUTBOUND, "outbound_default/meshtest-client", GATEWAY}),
    ],
)
def test_a_context_says_which_listeners(context: str, places: set[str]) -> None:
    made = translate(WEB, envoy_filter(lua_at(context), namespace="istio-system"))
    assert {name for name in made.listeners if "lua" in http_filters(made, name)} == places


def test_a_namespace_a_selector_and_a_port_narrow_it() -> None:
    def patched(text: str) -> set[str]:
        made = translate(WEB, text)
        return {name for name in made.listeners if "lua" in http_filters(made, name)}

    everywhere = lua_at("ANY")
    assert patched(envoy_filter(everywhere)) == {INBOUND, OUTBOUND, "outbound_default/meshtest-client"}
    assert patched(envoy_filter(everywhere, namespace="other")) == set()
    assert patched(envoy_filter(everywhere, selector="{app: web}")) == {INBOUND, OUTBOUND}
    assert patched(envoy_filter(everywhere, selector="{app: other}")) == set()
    assert patched(envoy_filter(lua_at("SIDECAR_INBOUND", "{portNumber: 8080}"))) == {INBOUND}
    assert patched(envoy_filter(lua_at("SIDECAR_INBOUND", "{portNumber: 80}"))) == set()
    gateway = envoy_filter(lua_at("GATEWAY"), namespace="istio-system", selector="{istio: ingressgateway}")
    assert patched(gateway) == {GATEWAY}


def test_patches_are_applied_by_namespace_then_priority_then_age() -> None:
    def one(name: str, namespace: str, priority: int) -> str:
        text = envoy_filter(lua_at("SIDECAR_INBOUND"), namespace=namespace).replace("name: patch", f"name: {name}")
        text = text.replace("envoy.filters.http.lua,", f"x.{name},")
        return text.replace("spec: {", f"spec: {{priority: {priority}, ")

    made = translate(WEB, one("late", "default", 5), one("early", "default", -1), one("root", "istio-system", 9))
    assert http_filters(made, INBOUND)[:3] == ["late", "early", "root"]  # each goes first, so the last one is first


def test_routes_virtual_hosts_and_clusters_are_patched() -> None:
    filters = """
    {applyTo: HTTP_ROUTE, match: {context: SIDECAR_OUTBOUND, routeConfiguration: {
       vhost: {name: "web.default.svc.cluster.local:80", route: {name: default}}}},
     patch: {operation: MERGE, value: {route: {timeout: 7s, maxStreamDuration: {maxStreamDuration: 9s}}}}},
    {applyTo: VIRTUAL_HOST, match: {context: GATEWAY, routeConfiguration: {
       name: http.80, gateway: default/front, vhost: {name: "shop.example.com:80"}}},
     patch: {operation: MERGE, value: {requestHeadersToAdd: [{header: {key: x, value: y}}]}}},
    {applyTo: ROUTE_CONFIGURATION, match: {context: SIDECAR_INBOUND, routeConfiguration: {name: "inbound|8080||"}},
     patch: {operation: MERGE, value: {most_specific_header_mutations_wins: true}}},
    {applyTo: CLUSTER, match: {context: ANY, cluster: {service: web.default.svc.cluster.local}},
     patch: {operation: MERGE, value: {connect_timeout: 1s}}},
    {applyTo: CLUSTER, patch: {operation: ADD, value: {name: lua_cluster, type: STATIC, connect_timeout: 1s}}}
    """
    made = translate(WEB, envoy_filter(filters, namespace="istio-system"))
    hosts = {h["name"]: h for h in made.routes["outbound_default"]["virtual_hosts"]}
    action = hosts["web.default.svc.cluster.local:80"]["routes"][0]["route"]
    assert (action["timeout"], action["max_stream_duration"]) == ("7s", {"max_stream_duration": "9s"})
    assert action["cluster"] == "outbound|80||web.default.svc.cluster.local"
    assert made.routes["http.80"]["virtual_hosts"][0]["request_headers_to_add"][0]["header"] == {
        "key": "x",
        "value": "y",
    }
    assert made.routes[INBOUND]["most_specific_header_mutations_wins"] is True
    assert made.clusters["outbound|80||web.default.svc.cluster.local"]["connect_timeout"] == "1s"
    assert made.clusters[names.inbound_cluster("web-v1-0", 8080)]["connect_timeout"] == "10s"
    assert made.clusters["lua_cluster"]["type"] == "STATIC"


def test_a_network_filter_merges_into_the_connection_manager() -> None:
    url = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
    more = "xff_num_trusted_hops: 2, upgrade_configs: [{upgrade_type: x}]"
    value = f'{{typed_config: {{"@type": {url}, {more}}}}}'
    for operation, upgrades in (("MERGE", ["websocket", "x"]), ("MERGE_AND_REPLACE_LIST", ["x"])):
        made = translate(
            WEB,
            envoy_filter(
                f"{{applyTo: NETWORK_FILTER, match: {{context: GATEWAY, listener: {HTTP}}}}}}}}}, "
                f"patch: {{operation: {operation}, value: {value}}}}}",
                namespace="istio-system",
            ),
        )
        config = made.listeners[GATEWAY]["filter_chains"][0]["filters"][-1]["typed_config"]
        assert config["xff_num_trusted_hops"] == 2
        assert [u["upgrade_type"] for u in config["upgrade_configs"]] == upgrades
        assert len(config["http_filters"]) == len(USUAL)


def test_what_is_not_in_envoys_api_is_one_error_with_its_line() -> None:
    unknown = lua_at("ANY").replace("lua.v3.Lua", "lua.v3.Luna")
    with pytest.raises(ManifestError, match=r"m.yaml:\d+: error: .*unknown @type .*Luna'; did you mean .*lua.v3.Lua\?"):
        translate(WEB, envoy_filter(unknown))
    unknown = lua_at("ANY").replace("envoy.extensions.filters.http.lua.v3.Lua", "acme.Filter")
    with pytest.raises(ManifestError, match=r"known http filters: .*local_ratelimit"):
        translate(WEB, envoy_filter(unknown))
    misspelt = lua_at("ANY").replace("Lua}", "Lua, inline_cod: x}")
    with pytest.raises(ManifestError, match=r'm.yaml:\d+: error: .*no field named "inline_cod"'):
        translate(WEB, envoy_filter(misspelt))


def test_typed_structs_are_what_they_stand_for() -> None:
    inner = {"@type": "type.googleapis.com/udpa.type.v1.TypedStruct", "type_url": LUA, "value": {"inlineCode": "x"}}
    assert protos.unwrapped({"a": [copy.deepcopy(inner)]}) == {"a": [{"@type": LUA, "inlineCode": "x"}]}
    filter_ = {"name": "lua", "typedConfig": inner}
    assert protos.canonical(patches.MESSAGES["HTTP_FILTER"], filter_) == {
        "name": "lua",
        "typed_config": {"@type": LUA, "inline_code": "x"},
    }


# -- on the real Envoy

RATE_LIMIT = """
{applyTo: HTTP_FILTER,
 match: {context: SIDECAR_INBOUND,
         listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}},
 patch: {operation: INSERT_BEFORE, value: {name: envoy.filters.http.local_ratelimit, typed_config: {
   "@type": type.googleapis.com/udpa.type.v1.TypedStruct,
   type_url: type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit,
   value: {stat_prefix: limit, token_bucket: {max_tokens: 5, tokens_per_fill: 5, fill_interval: 600s},
           filter_enabled: {default_value: {numerator: 100}}, filter_enforced: {default_value: {numerator: 100}}}}}}}
"""


def statuses(mesh: Mesh, request: str, requests: int = 20, **more: Any) -> list[int]:
    return [r.status for r in mesh.load(request, rps=200, requests=requests, **more).run().requests]


def test_a_local_rate_limit_answers_429(mesh: Mesh) -> None:
    mesh.apply(text=f"{WEB}---{envoy_filter(RATE_LIMIT)}")
    seen = statuses(mesh, "GET http://web/")
    assert (seen.count(200), seen.count(429)) == (5, 15)


def test_a_limit_that_comes_later_reaches_open_connections_from_their_second_request_on(mesh: Mesh) -> None:
    mesh.apply(text=WEB)
    with mesh.load("GET http://web/", rps=200, lanes=("keepalive",), connections=2) as load:
        load.until(requests=20)
        mesh.apply(text=envoy_filter(RATE_LIMIT))
        load.until(requests=60)
        seen = [r.status for r in load.here.requests]
    assert 429 in seen
    assert seen.count(200) <= 5 + connections(mesh, "total")
    mesh.apply(text=envoy_filter(RATE_LIMIT.replace("max_tokens: 5", "max_tokens: 1000000")))
    still = connections(mesh, "active")
    assert statuses(mesh, "GET http://web/", 30).count(429) <= still


def connections(mesh: Mesh, which: str) -> float:
    """Of the caller's proxy to web: two users at a time, but on a busy machine it was seen to open 13."""
    return sum(mesh.provider.counters(rf"^cluster\.outbound\|80\|\|web\..*\.upstream_cx_{which}$").values())


def test_lua_answers_and_a_header_is_added_at_the_gateway(mesh: Mesh) -> None:
    code = "function envoy_on_request(h) if h:headers():get('x-tea') then h:respond({[':status'] = '418'}, '') end end"
    lua = lua_at("GATEWAY").replace("Lua}", f'Lua, inline_code: "{code}"}}')
    mesh.apply(text=f"{WEB}---{envoy_filter(lua, namespace='istio-system')}")
    url = "GET http://shop.example.com/"
    assert mesh.ask(url, headers={"x-tea": "1"}, source="ingress").status == 418
    assert mesh.ask(url, source="ingress").status == 200
    assert mesh.ask("GET http://web/", headers={"x-tea": "1"}).status == 200


def test_envoys_refusal_names_the_line_of_the_patch(mesh: Mesh) -> None:
    mesh.apply(text=WEB)
    bad = lua_at("SIDECAR_INBOUND").replace("Lua}", 'Lua, inline_code: "function ("}')
    with pytest.raises(ConfigRejected, match=r"script load error.*\(EnvoyFilter: <text>:\d+\)"):
        mesh.apply(text=envoy_filter(bad))
    assert statuses(mesh, "GET http://web/", 3) == [200] * 3


def test_a_patch_that_lets_nothing_through_comes_into_force_all_the_same(mesh: Mesh) -> None:
    mesh.apply(text=WEB)
    code = "function envoy_on_request(h) h:respond({[':status'] = '418'}, '') end"
    lua = lua_at("SIDECAR_OUTBOUND").replace("Lua}", f'Lua, inline_code: "{code}"}}')
    mesh.apply(text=envoy_filter(lua))
    assert statuses(mesh, "GET http://web/", 2) == [418] * 2


def test_a_patch_that_matches_nothing_is_noted(mesh: Mesh) -> None:
    mesh.apply(text=f"{WEB}---{envoy_filter(lua_at('SIDECAR_INBOUND', '{portNumber: 81}'))}")
    assert any("matches nothing here" in e.data["text"] for e in mesh.history().of("note"))


def test_a_cluster_of_ones_own_may_leave_out_its_type(mesh: Mesh) -> None:
    """Envoy's default is STATIC."""
    mesh.apply(text=WEB)
    mesh.apply(
        text=envoy_filter("{applyTo: CLUSTER, patch: {operation: ADD, value: {name: own, connect_timeout: 1s}}}")
    )
    mesh.apply(text=envoy_filter(RATE_LIMIT))
    assert statuses(mesh, "GET http://web/", 1) == [200]
