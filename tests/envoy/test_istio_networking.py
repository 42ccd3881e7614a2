"""Istio's networking kinds on the real Envoy: what the manifests say is what requests meet."""

from __future__ import annotations

from pathlib import Path

import pytest
from meshtest_envoy.xds.routes import match

from meshtest import Mesh, no_downtime, split
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.istio import traffic_policy
from meshtest.manifests.reader import read, read_text
from meshtest.model.route import HeaderMatch, Match, StringMatch
from tests.conformance import validate

ROOT = Path(__file__).parents[2]
WEB = ROOT / "suites" / "traffic_shift" / "web.yaml"

HEAD = "apiVersion: networking.istio.io/v1\nkind: "
ROOT_VS = (
    HEAD + "VirtualService\nmetadata: {name: web}\nspec:\n  hosts: [web]\n  http:\n"
    "  - {match: [{uri: {prefix: /team}}], timeout: 3s, delegate: {name: team}}\n"
    "  - {directResponse: {status: 418}}\n"
)
TEAM_VS = (
    HEAD + "VirtualService\nmetadata: {name: team}\nspec:\n  http:\n"
    "  - {match: [{uri: {exact: /team/gone}}], directResponse: {status: 410}}\n"
    "  - {route: [{destination: {host: web, subset: v1}}]}\n"
)


def statuses(mesh: Mesh, url: str, **more: str) -> set[int]:
    return {mesh.ask(f"GET {url}", **more).status for _ in range(5)}


def test_a_delegate_serves_its_part_and_its_split_moves(mesh: Mesh) -> None:
    mesh.apply(WEB)
    mesh.apply(text=f"{ROOT_VS}---\n{TEAM_VS}")
    assert statuses(mesh, "http://web/other") == {418}
    assert statuses(mesh, "http://web/team/gone") == {410}
    mesh["web"].shift(v1=50, v2=50)
    mesh.load("GET http://web/team/", rps=400, requests=300).run()
    mesh.verify(no_downtime(), split(host="web", weights={"v1": 50, "v2": 50}, error=1e-6))


def test_a_sidecar_hides_what_it_does_not_import(mesh: Mesh) -> None:
    mesh.apply(WEB)
    scope = HEAD + "Sidecar\nmetadata: {name: default}\nspec: {egress: [{hosts: ['other/*']}]}\n"
    assert statuses(mesh, "http://web/") == {200}
    mesh.apply(text=scope)
    assert statuses(mesh, "http://web/", source="") == {502}
    mesh.apply(text=scope.replace("other", "."))
    assert statuses(mesh, "http://web/") == {200}


def test_a_workload_that_does_not_know_a_host_is_answered_as_for_any_unknown_host(mesh: Mesh) -> None:
    mesh.apply(WEB)
    mesh.apply(
        text=HEAD + "Sidecar\nmetadata: {name: v1}\nspec: {workloadSelector: {labels: {version: v1}}, "
        "egress: [{hosts: ['~/*']}]}\n"
    )
    assert statuses(mesh, "http://web/", source="web-v1") == {502}
    assert statuses(mesh, "http://web/", source="web-v2") == {200}


EVERYTHING = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy:
    connectionPool: {http: {h2UpgradePolicy: UPGRADE, http2KeepAlive: {interval: 10s, timeout: 2s}}}
    outlierDetection: {consecutive5xxErrors: 3, outlierDetectionHttpErrorCodes: [429, 503]}
    proxyProtocol: {version: V2}
    loadBalancer: {consistentHash: {httpCookie: {name: c, ttl: 0s, attributes: [{name: SameSite, value: Lax}]}}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}, trafficPolicy: {outlierDetection: {outlierDetectionHttpErrorCodes: [429]}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http:
  - match:
    - {headers: {x-a: {exact: a}}}
    - {withoutHeaders: {x-b: {prefix: b}}, queryParams: {q: {}}}
    route:
    - {destination: {host: web, subset: v1}, weight: 1, headers: {request: {set: {Host: one.example}}}}
    - {destination: {host: web, subset: v2}, weight: 1}
  - route: [{destination: {host: web}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec: {servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: claims}
spec:
  hosts: ["*"]
  gateways: [front]
  http:
  - match:
    - {headers: {"@request.auth.claims[group][id]": {exact: a}}}
    - {withoutHeaders: {"@request.auth.claims.admin": {prefix: b}}, queryParams: {q: {}}}
    route: [{destination: {host: web}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: out}
spec:
  hosts: ["*.out.example", one.example]
  addresses: [240.0.0.1, "fd::1"]
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 81, name: more, protocol: GRPC}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.2, ports: {http: 8080}}]
"""


def test_envoy_accepts_every_field(tmp_path: Path) -> None:
    topology = compile_or_raise(read(str(WEB)).apply(read_text(EVERYTHING))).topology
    assert validate.refused({"all": validate.translated(topology)}, tmp_path) == {}


@pytest.mark.parametrize(
    "balancer",
    [
        *(f"{{simple: {name}}}" for name in traffic_policy.SIMPLE),
        "{consistentHash: {useSourceIp: true, maglev: {tableSize: 101}}}",
        "{consistentHash: {httpHeaderName: x, ringHash: {minimumRingSize: 10}}}",
        "{simple: ROUND_ROBIN, warmup: {duration: 1s}}",
    ],
)
def test_envoy_accepts_every_load_balancer(balancer: str, tmp_path: Path) -> None:
    rule = (
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web}\n"
        f"spec: {{host: web, trafficPolicy: {{loadBalancer: {balancer}}}, subsets: [{{name: v1}}, {{name: v2}}]}}\n"
    )
    topology = compile_or_raise(read(str(WEB)).apply(read_text(rule))).topology
    assert validate.refused({"all": validate.translated(topology)}, tmp_path) == {}


def test_a_claim_is_looked_up_where_the_verified_token_is() -> None:
    wanted = HeaderMatch(name="@request.auth.claims.a", match=StringMatch(kind="exact", value="b"), claim=("a",))
    found = match(Match(headers=(wanted,)))
    assert "headers" not in found
    (metadata,) = found["dynamic_metadata"]
    assert metadata["filter"] == "envoy.filters.http.jwt_authn"
    assert metadata["path"] == [{"key": "payload"}, {"key": "a"}]


def test_the_host_of_one_weighted_destination_is_its_own() -> None:
    topology = compile_or_raise(read(str(WEB)).apply(read_text(EVERYTHING))).topology
    routes = validate.translated(topology).routes["outbound_default"]["virtual_hosts"]
    (web,) = [host for host in routes if host["name"].startswith("web.default")]
    one, two = web["routes"][0]["route"]["weighted_clusters"]["clusters"]
    assert one["host_rewrite_literal"] == "one.example"
    assert "host_rewrite_literal" not in two


CART = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: cart, image: cart:1}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{route: [{destination: {host: web, subset: stable}}]}]}
"""


def stable(version: str, namespace: str) -> str:
    return (
        f"---\n{HEAD}DestinationRule\nmetadata: {{name: web, namespace: {namespace}}}\nspec:\n"
        f"  host: web.default.svc.cluster.local\n  subsets: [{{name: stable, labels: {{version: {version}}}}}]\n"
    )


def test_callers_of_a_namespace_with_rules_of_its_own_follow_those(mesh: Mesh) -> None:
    mesh.apply(WEB)
    mesh.apply(text=CART + stable("v1", "default") + stable("v2", "shop"))
    url = "GET http://web.default/"
    assert mesh.load(url, rps=300, requests=60).run().versions == {"v1"}
    assert mesh.load(url, source="cart", rps=300, requests=60).run().versions == {"v2"}
    mesh.verify(no_downtime())
