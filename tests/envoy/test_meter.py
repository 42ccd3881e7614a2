"""What is made of Envoy's counts: added up over resets, told under the labels of their time. Without an Envoy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from google.protobuf import json_format
from meshtest_envoy.ads import descriptors
from meshtest_envoy.metrics.flow import destination_of, short_name
from meshtest_envoy.metrics.meter import Meter, buckets, readings
from meshtest_envoy.metrics.page import summed
from meshtest_envoy.xds import names
from meshtest_envoy.xds.peers import Peer, of_workload
from meshtest_envoy.xds.replicas import Replica
from meshtest_envoy.xds.snapshot import Snapshot, Translator, tcp_listeners
from meshtest_envoy.xds.stats import Counting

from meshtest.lib.exposition import parse
from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.reader import read_text
from meshtest.model.series import NO_DATA
from meshtest.model.service import Container, Workload
from meshtest.model.topology import Topology
from meshtest.telemetry.samples import Metrics

from .test_metrics import CANARY

SHOP = Workload(name="shop", labels={"app": "shop", "version": "7"}, containers=(Container(name="c", image="i"),))


class FakeAdmin:
    """Envoy's counters, and the durations that go with them."""

    def __init__(self, prefix: str = "mt1") -> None:
        self.prefix = prefix
        self.counts: dict[str, int] = {}
        self.late = 0
        """How often histograms are asked for until they have what the counters have."""

    def request(self, method: str, target: str) -> str:
        lines = []
        for fields, count in self.counts.items():
            if "Counters" in target:
                lines.append(f"{self.prefix}.requests.k.{fields}: {count}")
            else:
                lines.append(f"{self.prefix}.duration.k.{fields}:")
                lines += [f"  totals=5,0.1:{count - (self.late > 0)}", "  intervals=", "  summary=P0(nan,5)"]
        if "Histograms" in target:
            self.late -= 1
        return "\n".join([*lines, ""])


def to(version: str, code: str = "200", cluster: str = "outbound|80||web.default.svc.cluster.local") -> str:
    return f"s;default/shop;{version};{code};;-;;{cluster};web"


@pytest.fixture
def counting() -> Counting:
    made = Counting.of_run(1)
    made.peers.call(Topology(workloads=(SHOP,)))
    return made


@pytest.fixture
def admin() -> FakeAdmin:
    return FakeAdmin()


@pytest.fixture
def meter(admin: FakeAdmin, counting: Counting) -> Meter:
    return Meter(admin, counting)


def told(meter: Meter) -> Metrics:
    return Metrics(meter.text("istio"))


class TestCounts:
    def test_grow_and_begin_again_when_a_listener_does(self, meter: Meter, admin: FakeAdmin) -> None:
        seen = []
        for count in (5, 9, 2, None, 1):
            admin.counts = {} if count is None else {to(""): count}
            seen.append(told(meter).value("istio_requests_total"))
        assert seen == [5, 9, 11, 11, 12]
        assert told(meter).value("istio_request_duration_milliseconds_count") == 12

    def test_histograms_are_waited_for(self, meter: Meter, admin: FakeAdmin) -> None:
        admin.counts, admin.late = {to(""): 5}, 3
        assert told(meter).value("istio_request_duration_milliseconds_count") == 5

    def test_but_not_for_ever_and_not_again(
        self, meter: Meter, admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("meshtest_envoy.metrics.meter.LONGEST_WAIT", 0.01)
        admin.counts, admin.late = {to(""): 5}, 1_000_000
        assert told(meter).value("istio_requests_total") == 5
        asked = admin.late
        assert told(meter).value("istio_request_duration_milliseconds_count") == 4
        assert asked - admin.late == 1

    def test_labels_of_a_caller_change_for_what_comes_later(
        self, meter: Meter, admin: FakeAdmin, counting: Counting
    ) -> None:
        admin.counts = {to(""): 5}
        meter.read()
        newer = Topology(workloads=(replace(SHOP, labels={"app": "shop", "version": "8"}),))
        assert counting.peers.labels_change(newer)
        counting.peers.call(newer)
        meter.relabelled()
        admin.counts = {to(""): 12}
        assert told(meter).by("istio_requests_total", "source_version") == {"7": 5, "8": 7}

    def test_series_that_differ_in_no_label_are_one(self, meter: Meter, admin: FakeAdmin) -> None:
        """The subset of the cluster and the spelling of the host are no labels of Istio's."""
        subset = "outbound|80|v1|web.default.svc.cluster.local@east"
        admin.counts = {to(""): 5, to("", cluster=subset): 2, to("").replace(";web", ";web.default"): 1}
        (sample,) = told(meter).samples("istio_requests_total")
        assert sample.value == 8
        (bucket,) = told(meter).samples("istio_request_duration_milliseconds_bucket", le="5")
        assert bucket.value == 8

    def test_of_linkerd_none_of_them_is_twice_there_either(self, meter: Meter, admin: FakeAdmin) -> None:
        admin.counts = {to(""): 5, to("", code="503"): 2}
        metrics = Metrics(meter.text("linkerd"))
        assert metrics.by("response_total", "classification", direction="outbound") == {"success": 5, "failure": 2}
        for text in (meter.text("istio"), meter.text("linkerd")):
            series = [(s.name, tuple(sorted(s.labels.items()))) for s in parse(text)]
            assert len(series) == len(set(series))

    def test_nothing_counted_is_no_text(self, meter: Meter) -> None:
        assert meter.text("istio") == ""
        assert told(meter).value("istio_requests_total") == NO_DATA


class TestText:
    def test_a_stat_whose_name_has_a_colon(self) -> None:
        text = "mt1.requests.k.s;a;;200;;-;;;web: 8: 3\nmt1.duration.k.s;a: No recorded values\n"
        assert dict(readings(text)) == {"mt1.requests.k.s;a;;200;;-;;;web: 8": "3"}

    def test_buckets_and_their_sum(self) -> None:
        found = buckets("0,0:1, 5,0.1:2, 42,1:1, 150,10:4, 1.8e+06,100000:1")
        assert found[(150.0, 10.0)] == 4
        assert summed(dict(list(found.items())[:4])) == 0 + 10 + 42 + 4 * 154.5

    @pytest.mark.parametrize(
        ("cluster", "code", "found"),
        [
            ("outbound|80|v1|web.default.svc.cluster.local", "200", ("web.default.svc.cluster.local", "web")),
            ("outbound|443||api.example.com@east", "200", ("api.example.com", "api.example.com")),
            ("", "502", ("asked", "BlackHoleCluster")),
            ("", "404", ("asked", "asked")),
            ("BlackHoleCluster", "", ("asked", "BlackHoleCluster")),
            ("127.0.0.1:8080", "200", ("asked", "PassthroughCluster")),
        ],
    )
    def test_a_service_is_named_as_istio_names_it(self, cluster: str, code: str, found: tuple[str, str]) -> None:
        assert destination_of(cluster, "asked", code, gateway=False) == found

    def test_short_names(self) -> None:
        assert (short_name("web.shop.svc.cluster.local"), short_name("example.com")) == ("web", "example.com")

    @pytest.mark.parametrize(
        ("labels", "found"),
        [
            ({}, ("", "", "shop", "")),
            ({"app": "a", "version": "1"}, ("a", "1", "a", "1")),
            ({"app": "a", "app.kubernetes.io/name": "k", "app.kubernetes.io/version": "2"}, ("a", "", "k", "2")),
            ({"service.istio.io/canonical-name": "c", "service.istio.io/canonical-revision": "r"}, ("", "", "c", "r")),
        ],
    )
    def test_canonical_names(self, labels: Mapping[str, str], found: tuple[str, ...]) -> None:
        peer: Peer = of_workload(replace(SHOP, labels=labels))
        assert (peer.app, peer.version, peer.service, peer.revision) == found


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: raw}
spec: {selector: {app: web}, ports: [{%s, targetPort: 8080}]}
---
"""

RULE = """
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web-tls}
spec: {host: web, trafficPolicy: {tls: {mode: %s}}}
---
"""


def snapshot(text: str, translator: Translator) -> Snapshot:
    topology = compile_or_raise(read_text(text, "test.yaml")).topology
    replicas = [
        Replica(pod=f"{w.name}-0", workload=w, service="web", ready=True, sockets={8080: "/s"}, ports={8080: 9})
        for w in topology.workloads
        if w.app == "web"
    ]
    ports = {name: 20_000 + number for number, name in enumerate(tcp_listeners(topology))}
    return translator.snapshot(topology, replicas, ports)


class TestConfiguration:
    def test_a_callers_listener_stays_as_it_is_when_a_rollout_changes_its_labels(self) -> None:
        """Connections to it would be cut."""
        translator = Translator(hops="/dev/null", counting=Counting.of_run(1))
        before = snapshot(CANARY, translator)
        after = snapshot(CANARY.replace("version: v1", "version: v3"), translator)
        name = names.outbound_listener("default/web-v1")
        assert before.listeners[name] == after.listeners[name]

    def test_the_name_of_the_header_is_a_secret_of_the_run(self) -> None:
        assert Counting.of_run(1).header != Counting.of_run(1).header

    @pytest.mark.parametrize(
        ("more", "leaves"),
        [
            ("", False),
            (SERVICE % "port: 81, name: tcp-raw", True),
            (RULE % "SIMPLE", True),
            (RULE % "ISTIO_MUTUAL", False),
        ],
    )
    def test_what_no_proxy_takes_off_is_not_sent(self, more: str, leaves: bool) -> None:
        """Where the proxy in front of the pods passes bytes, or TLS of the application's own."""
        made = snapshot(more + CANARY, Translator(hops="/dev/null", counting=Counting.of_run(1)))
        cluster = made.clusters["outbound|80||web.default.svc.cluster.local"]
        assert ("header_mutation" in str(cluster)) is leaves

    def test_loggers_are_packed_as_json_format_would(self) -> None:
        made = snapshot(CANARY, Translator(hops="/dev/null", counting=Counting.of_run(1)))
        listener = descriptors.message_class("envoy.config.listener.v3.Listener")
        for resource in made.listeners.values():
            quick, slow = listener(), listener()
            descriptors.parse(resource).Unpack(quick)  # type: ignore[attr-defined]
            bare = {name: value for name, value in resource.items() if name != "@type"}
            json_format.ParseDict(bare, slow, descriptor_pool=descriptors.pool())
            assert text_of(quick) == text_of(slow)


def text_of(message: object) -> object:
    return json_format.MessageToDict(message, descriptor_pool=descriptors.pool())  # type: ignore[arg-type]
