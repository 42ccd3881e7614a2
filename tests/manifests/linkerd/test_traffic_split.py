"""SMI's TrafficSplit, as Linkerd's extension takes it."""

from __future__ import annotations

import pytest

from meshtest.errors import ManifestError, UsageError
from meshtest.manifests.compiler import compile, compile_or_raise
from meshtest.manifests.hosts import mesh_hosts
from meshtest.manifests.linkerd import LINKERD
from meshtest.manifests.quantities import quantity
from meshtest.manifests.reader import read_text
from meshtest.manifests.shares import shares
from meshtest.manifests.traffic import TRAFFIC
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Documents
from meshtest.model.route import Abort, Fault, Match, Route
from meshtest.model.topology import Topology
from tests.manifests.gateway_api.shop import WEB, deployment, service

APART = "".join(service(name, f"{{app: web, version: {v}}}") for name, v in (("web", "v1"), ("web-canary", "v2")))
SHOP = APART + deployment("v1") + deployment("v2")


def split(backends: str, *, of: str = "web", version: str = "v1alpha1", more: str = "") -> str:
    head = f"apiVersion: split.smi-spec.io/{version}\nkind: TrafficSplit\nmetadata: {{name: web}}\n"
    return f"{head}spec: {{service: {of}, backends: [{backends}]{more}}}\n---\n"


def to(service: str, weight: str) -> str:
    return f"{{service: {service}, weight: {weight}}}"


NINETY = f"{to('web', '90')}, {to('web-canary', '10')}"
ROUTE = """\
apiVersion: policy.linkerd.io/v1beta3
kind: HTTPRoute
metadata: {name: own}
spec:
  parentRefs: [{group: core, kind: Service, name: web, port: 80}]
  rules: [{backendRefs: [{name: web-canary, port: 80}]}]
---
"""


def shop(*texts: str, base: str = SHOP) -> tuple[Documents, Topology]:
    found = read_text(base + "".join(texts), "s.yaml")
    return found, compile_or_raise(found).topology


def routes(topology: Topology, port: int = 80) -> tuple[Route, ...]:
    hosts = mesh_hosts(topology, namespace="default", labels={})
    return next(host.routes for host in hosts if host.name == f"{WEB}:{port}")


def told(*texts: str, base: str = SHOP) -> list[str]:
    notes = compile(read_text(base + "".join(texts), "s.yaml")).diagnostics
    return [note.message for note in notes if note.severity is Severity.WARNING]


class TestWeights:
    @pytest.mark.parametrize(
        ("backends", "v2"),
        [
            (NINETY, 10.0),
            (f"{to('web', '900m')}, {to('web-canary', '100m')}", 10.0),
            (f"{to('web', '1')}, {to('web-canary', '500m')}", 33.333333333),
            (f"{to('web', '1e2')}, {to('web-canary', '0')}", 0.0),
        ],
    )
    def test_are_quantities_in_proportion(self, backends: str, v2: float) -> None:
        _, topology = shop(split(backends))
        assert shares(topology, WEB).get("v2", 0.0) == v2

    @pytest.mark.parametrize("version", ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"])
    def test_of_all_versions_count_on_every_port(self, version: str) -> None:
        _, topology = shop(split(NINETY, version=version))
        for port in (80, 8080):
            assert [(d.host.partition(".")[0], d.port, d.weight) for d in routes(topology, port)[0].destinations] == [
                ("web", port, 90),
                ("web-canary", port, 10),
            ]

    def test_make_the_backends_versions_of_the_service(self) -> None:
        base = service("web", "{app: other}") + service("web-canary", "{app: web, version: v2}") + deployment("v2")
        _, topology = shop(split(f"{to('web-canary', '100')}, {to('web', '0')}"), base=base)
        assert shares(topology, WEB) == {"v2": 100.0}

    def test_that_are_all_zero_split_nothing(self) -> None:
        zeros = split(f"{to('web', '0')}, {to('web-canary', '0')}")
        assert told(zeros) == [
            "TrafficSplit `default/web` is not in force: no backend has a weight, so requests go to `web` itself"
        ]
        _, topology = shop(zeros)
        assert shares(topology, WEB) == {"v1": 100.0}

    def test_connections_are_split_too(self) -> None:
        base = SHOP.replace("name: alt,", "name: tcp-alt,")
        _, topology = shop(split(NINETY), base=base)
        (table,) = topology.tables
        assert [(r.match.port, [d.weight for d in r.destinations]) for r in table.tcp] == [(8080, [90, 10])]
        assert [route.match.port for route in table.routes] == [80]


class TestWhatItSays:
    def test_of_a_service_that_is_not_there(self) -> None:
        assert told(split(NINETY, of="wbe")) == [
            "TrafficSplit `default/web` is not in force: there is no Service `wbe` in its namespace; "
            "did you mean `web`?"
        ]

    def test_of_a_backend_that_is_not_there(self) -> None:
        broken = split(f"{to('web', '50')}, {to('web-v3', '50')}")
        assert told(broken) == [
            "TrafficSplit `default/web`: there is no Service `web-v3` in namespace `default`; its share of the "
            "requests gets 503"
        ]
        assert [d.broken for d in routes(shop(broken)[1])[0].destinations] == [0, 503]

    def test_of_a_backend_without_the_port(self) -> None:
        base = SHOP + service("small", "{app: web}").replace(", {name: alt, port: 8080}", "")
        assert told(split(f"{to('web', '50')}, {to('small', '50')}"), base=base) == [
            "TrafficSplit `default/web`: Service `small` has no port 8080, which `web` has; its share of the requests "
            "gets 503"
        ]

    def test_of_a_route_beside_it(self) -> None:
        assert told(ROUTE, split(NINETY)) == [
            "HTTPRoute `default/own` is not in force: TrafficSplit `web` (s.yaml:36) has its Service, too, "
            "and comes first"
        ]
        assert len(shop(ROUTE, split(NINETY))[1].tables) == 1

    def test_of_annotations_that_do_not_count_beside_it(self) -> None:
        base = SHOP.replace("{name: web,", "{name: web, annotations: {timeout.linkerd.io/request: 1s},", 1)
        assert told(split(NINETY), base=base) == [
            "retries and timeouts of this Service do not count beside TrafficSplit `web` (s.yaml:29)"
        ]

    def test_of_conditions(self) -> None:
        said = told(split(NINETY, version="v1alpha4", more=", matches: [{kind: HTTPRouteGroup, name: x}]"))
        assert said == [
            "`spec.matches` is not supported: Linkerd's extension does not read it, and splits every request"
        ]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (split(to("web", "many")), "`spec.backends[0].weight` must be a quantity such as 10 or 500m, not 'many'"),
            (split(to("web", "-1")), "`spec.backends[0].weight` must be a quantity such as 10 or 500m, not -1"),
            (split("{service: web}"), "`spec.backends[0].weight` is required"),
            (split("{wieght: 1}"), "unknown field `spec.backends[0].wieght`; did you mean `weight`?"),
            (split(NINETY, version="v1"), "TrafficSplit has no apiVersion 'split.smi-spec.io/v1'; accepted: "),
        ],
    )
    def test_of_bad_input(self, text: str, said: str) -> None:
        with pytest.raises(ManifestError) as refused:
            shop(text)
        assert said in str(refused.value)
        assert str(refused.value).startswith("s.yaml:")


class TestEdits:
    def test_weights_are_moved(self) -> None:
        found, topology = shop(split(NINETY))
        assert TRAFFIC.of(found, topology, WEB) is LINKERD
        moved = LINKERD.set_weights(found, topology, WEB, {"v2": 60, "v1": 40})
        assert shares(compile_or_raise(moved).topology, WEB) == {"v1": 40.0, "v2": 60.0}
        over = LINKERD.set_weights(moved, compile_or_raise(moved).topology, WEB, {"v2": 100})
        assert over.of("split.smi-spec.io/TrafficSplit")[0].data["spec"]["backends"] == [
            {"service": "web", "weight": 0},
            {"service": "web-canary", "weight": 100},
        ]

    def test_there_is_nothing_else_to_move(self) -> None:
        found, topology = shop(split(NINETY))
        with pytest.raises(UsageError, match=r"TrafficSplit `web` \(s.yaml:29\) has only weights"):
            LINKERD.set_match(found, topology, WEB, Match(), "v2")
        with pytest.raises(UsageError, match="faults need an HTTPRoute in its place"):
            LINKERD.set_fault(found, topology, WEB, Fault(abort=Abort(http_status=503)))


@pytest.mark.parametrize(
    ("text", "value"),
    [("10", 10), ("500m", 0.5), ("1.5", 1.5), ("1e3", 1000), ("2Ki", 2048), (".5", 0.5), ("3k", 3000)],
)
def test_quantities(text: str, value: float) -> None:
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "m", "1 m", "1mm", "1ee2", "x"])
def test_no_quantities(text: str) -> None:
    assert quantity(text) is None
