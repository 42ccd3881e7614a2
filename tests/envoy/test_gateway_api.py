"""What only the real Envoy can show: shares of backends with filters of their own, broken backends, timeouts, edits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from meshtest import Mesh, no_downtime
from meshtest.lib.stats import binomial_test
from tests.conformance.roundtrip import Answer, Client
from tests.manifests.gateway_api.shop import SHOP, gateway, route

ERROR = 1e-6
SAMPLE = 600

BACKENDS = """[{backendRefs: [
  {name: web-v1, port: 80, weight: 4, filters: [{type: URLRewrite, urlRewrite: {hostname: new.example.com,
     path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]},
  {name: web-v2, port: 80, weight: 3, filters: [{type: RequestRedirect, requestRedirect: {hostname: moved.example}}]},
  {name: gone, port: 80, weight: 1},
  {name: web-v2, port: 80, weight: 2, filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {
     set: [{name: x-plain, value: "yes"}]}}]}]}]"""


@pytest.fixture
def client() -> Iterator[Client]:
    made = Client()
    yield made
    made.close()


def kind(answer: Answer) -> str:
    if answer.status != 200:
        return str(answer.status)
    return "plain" if answer.headers.get("x-plain") else str(answer.seen["path"])


def test_backends_with_filters_of_their_own_get_their_exact_shares(mesh: Mesh, client: Client) -> None:
    mesh.apply(text=SHOP + gateway() + route(BACKENDS))
    entrance = mesh.provider.entrance("default/edge/80")
    answers = [client.ask(entrance, "GET", "shop.example.com", "/a", {}) for _ in range(SAMPLE)]
    seen = Counter(map(kind, answers))
    assert seen.keys() == {"/new/a", "302", "500", "plain"}
    for name, share in {"/new/a": 0.4, "302": 0.3, "500": 0.1, "plain": 0.2}.items():
        assert binomial_test(seen[name], SAMPLE, share) > ERROR, seen
    assert {a.seen["host"] for a in answers if kind(a) == "/new/a"} == {"new.example.com"}
    assert {a.headers["location"] for a in answers if a.status == 302} == {"http://moved.example/a"}


def test_a_service_without_a_pod_is_503_and_not_500(mesh: Mesh, client: Client) -> None:
    empty = (
        "apiVersion: v1\nkind: Service\nmetadata: {name: empty}\nspec: {selector: {app: x}, ports: [{port: 80}]}\n---\n"
    )
    mesh.apply(text=SHOP + empty + gateway() + route("[{backendRefs: [{name: empty, port: 80}]}]"))
    assert client.ask(mesh.provider.entrance("default/edge/80"), "GET", "x", "/", {}).status == 503


def test_gateways_of_one_port_have_addresses_of_their_own(mesh: Mesh, client: Client) -> None:
    to_v2 = route("[{backendRefs: [{name: web-v2, port: 80}]}]", name="other", parents="[{name: other}]")
    mesh.apply(text=SHOP + gateway() + gateway(name="other") + route() + to_v2)
    served = [client.ask(mesh.provider.entrance(f"default/{g}/80"), "GET", "x", "/", {}) for g in ("edge", "other")]
    assert [a.seen["version"] for a in served] == ["v1", "v2"]


def test_a_timeout_of_a_virtual_service_ends_the_request(mesh: Mesh, client: Client) -> None:
    rule = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{timeout: 500ms, route: [{destination: {host: web, port: {number: 80}}}]}]}
"""
    mesh.apply(text=SHOP + rule)
    entrance = mesh.provider.entrance("")
    assert client.ask(entrance, "GET", "web", "/?delay=5s", {}).status == 504
    assert client.ask(entrance, "GET", "web", "/?delay=1ms", {}).status == 200


def test_a_route_of_the_mesh_is_shifted_without_a_lost_request(mesh: Mesh) -> None:
    mesh.apply(text=SHOP + route(parents="[{group: '', kind: Service, name: web}]"))
    assert mesh["web"].shares == {"v1": 100.0}
    with mesh.load("GET http://web/", rps=400) as load:
        load.until(requests=100)
        mesh["web"].shift(v2=100)
        load.until(requests=100)
    assert load.versions == {"v1", "v2"}
    assert mesh["web"].shares == {"v2": 100.0}
    mesh.verify(no_downtime())
