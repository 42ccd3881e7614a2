"""DestinationRules: each block of a policy, and which policy counts where several lie over each other."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.policy import (
    ConnectionPool,
    HashOn,
    HostPolicy,
    Keepalive,
    LoadBalancing,
    OutlierDetection,
    RetryBudget,
    TrafficPolicy,
)

HOST = "reviews.default.svc.cluster.local"
SUBSETS = "  subsets:\n  - {name: v1, labels: {version: v1}}\n"


def rule(spec: str, *, name: str = "reviews", host: str = "reviews", namespace: str = "default") -> str:
    head = (
        f"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, namespace: {namespace}}}"
    )
    return f"{head}\nspec:\n  host: {host!r}\n{spec}\n---\n"


@pytest.fixture
def base(reviews: str) -> str:
    """Service and workloads without their DestinationRule."""
    return reviews[: reviews.index("apiVersion: networking")]


def policy(text: str) -> HostPolicy:
    return compile(read_text(text)).topology.policies[HOST]


def said(text: str) -> list[str]:
    return [str(d) for d in compile(read_text(text, "m.yaml")).diagnostics if d.severity >= Severity.WARNING]


class TestBlocks:
    @pytest.mark.parametrize(
        ("text", "balancing"),
        [
            ("{}", LoadBalancing()),
            ("{simple: UNSPECIFIED}", LoadBalancing()),
            ("{simple: LEAST_CONN}", LoadBalancing()),
            ("{simple: ROUND_ROBIN}", LoadBalancing(algorithm="ROUND_ROBIN")),
            ("{simple: PASSTHROUGH}", LoadBalancing(algorithm="PASSTHROUGH")),
            ("{warmupDurationSecs: 30s}", LoadBalancing(warmup=30.0)),
            (
                "{warmup: {duration: 1m, minimumPercent: 0, aggression: 2}}",
                LoadBalancing(warmup=60.0, warmup_minimum_percent=0.0, warmup_aggression=2.0),
            ),
            (
                "{consistentHash: {httpHeaderName: x-user}}",
                LoadBalancing(algorithm="RING_HASH", hash_on=HashOn(header="x-user")),
            ),
            (
                "{consistentHash: {httpCookie: {name: c, path: /, ttl: 0s}, ringHash: {minimumRingSize: 64}}}",
                LoadBalancing(
                    algorithm="RING_HASH",
                    hash_on=HashOn(cookie="c", cookie_path="/", cookie_ttl=0.0),
                    ring_size=64,
                ),
            ),
            (
                "{consistentHash: {useSourceIp: true, minimumRingSize: 7}}",
                LoadBalancing(algorithm="RING_HASH", hash_on=HashOn(source_ip=True), ring_size=7),
            ),
            (
                "{consistentHash: {httpQueryParameterName: q, maglev: {tableSize: 11}}}",
                LoadBalancing(algorithm="MAGLEV", hash_on=HashOn(query="q"), ring_size=11),
            ),
        ],
    )
    def test_load_balancing(self, base: str, text: str, balancing: LoadBalancing) -> None:
        assert policy(base + rule(f"  trafficPolicy: {{loadBalancer: {text}}}")).policy.load_balancing == balancing

    def test_connection_pool(self, base: str) -> None:
        text = """\
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 1, connectTimeout: 2s, idleTimeout: 3s, maxConnectionDuration: 4s,
            tcpKeepalive: {probes: 5, time: 6s, interval: 7s}}
      http: {http1MaxPendingRequests: 8, http2MaxRequests: 9, maxRequestsPerConnection: 10, maxRetries: 11,
             idleTimeout: 12s, h2UpgradePolicy: UPGRADE, useClientProtocol: true, maxConcurrentStreams: 13}"""
        assert policy(base + rule(text)).policy.connection_pool == ConnectionPool(
            max_connections=1, connect_timeout=2.0, tcp_idle_timeout=3.0, max_connection_duration=4.0,
            tcp_keepalive=Keepalive(probes=5, time=6.0, interval=7.0),
            http1_max_pending_requests=8, http2_max_requests=9, max_requests_per_connection=10, max_retries=11,
            idle_timeout=12.0, h2_upgrade=True, use_client_protocol=True, max_concurrent_streams=13,
        )  # fmt: skip

    def test_a_limit_of_zero_is_no_limit(self, base: str) -> None:
        pool = policy(base + rule("  trafficPolicy: {connectionPool: {tcp: {maxConnections: 0}}}")).policy
        assert pool.connection_pool == ConnectionPool()

    def test_outlier_detection(self, base: str) -> None:
        text = (
            "  trafficPolicy: {outlierDetection: {consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, interval: 3s, "
            "splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 4, baseEjectionTime: 5s, "
            "maxEjectionPercent: 100, minHealthPercent: 6}}"
        )
        assert policy(base + rule(text)).policy.outlier_detection == OutlierDetection(
            consecutive_5xx=0, consecutive_gateway_errors=2, interval=3.0, split_external_local=True,
            consecutive_local_origin=4, base_ejection_time=5.0, max_ejection_percent=100, min_health_percent=6,
        )  # fmt: skip

    def test_an_empty_block_is_there_all_the_same(self, base: str) -> None:
        found = policy(base + rule("  trafficPolicy: {outlierDetection: {}}")).policy
        assert found == TrafficPolicy(outlier_detection=OutlierDetection())

    def test_retry_budget(self, base: str) -> None:
        text = "  trafficPolicy: {retryBudget: {percent: 30}}"
        assert policy(base + rule(text)).policy.retry_budget == RetryBudget(percent=30.0, min_retry_concurrency=3)


class TestLayers:
    def test_a_subset_replaces_blocks_of_the_host_as_a_whole(self, base: str) -> None:
        found = policy(
            base
            + rule("""\
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    connectionPool: {tcp: {maxConnections: 1}}
  subsets:
  - name: v1
    labels: {version: v1}
    trafficPolicy: {connectionPool: {http: {maxRetries: 2}}}
  - {name: v2, labels: {version: v2}}""")
        )
        v1, v2 = found.subsets
        assert v1.policy == TrafficPolicy(
            load_balancing=LoadBalancing(algorithm="RANDOM"), connection_pool=ConnectionPool(max_retries=2)
        )
        assert v2.policy == found.policy
        assert (v1.name, v1.labels) == ("v1", {"version": "v1"})

    def test_port_level_settings_inherit_nothing(self, base: str) -> None:
        found = policy(
            base
            + rule("""\
  trafficPolicy:
    loadBalancer: {simple: RANDOM}
    portLevelSettings:
    - {port: {number: 9080}, connectionPool: {tcp: {maxConnections: 1}}}""")
        )
        assert found.policy_for(9080) == TrafficPolicy(connection_pool=ConnectionPool(max_connections=1))
        assert found.policy_for(81) == TrafficPolicy(load_balancing=LoadBalancing(algorithm="RANDOM"))

    def test_a_subset_lies_over_the_port_of_the_host_and_its_own_port_replaces_both(self, base: str) -> None:
        found = policy(
            base
            + rule("""\
  trafficPolicy:
    portLevelSettings:
    - {port: {number: 1}, loadBalancer: {simple: RANDOM}}
    - {port: {number: 2}, loadBalancer: {simple: RANDOM}}
  subsets:
  - name: v1
    labels: {version: v1}
    trafficPolicy:
      outlierDetection: {}
      portLevelSettings: [{port: {number: 2}, connectionPool: {}}]""")
        )
        (v1,) = found.subsets
        assert v1.policy_for(1) == TrafficPolicy(
            load_balancing=LoadBalancing(algorithm="RANDOM"), outlier_detection=OutlierDetection()
        )
        assert v1.policy_for(2) == TrafficPolicy(connection_pool=ConnectionPool())

    def test_rules_of_one_host_are_merged_and_the_first_policy_wins(self, base: str) -> None:
        first = rule("  trafficPolicy: {loadBalancer: {simple: RANDOM}}\n" + SUBSETS, name="b")
        text = "  trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}\n  subsets: [{name: v1}, {name: v2}]"
        second = rule(text, name="c")
        for both in (first + second, second + first):
            found = policy(base + both)
            assert found.policy.load_balancing == LoadBalancing(algorithm="RANDOM")
            assert [(s.name, s.labels) for s in found.subsets] == [("v1", {"version": "v1"}), ("v2", {})]
            assert {s.policy.load_balancing for s in found.subsets} == {LoadBalancing(algorithm="RANDOM")}

    def test_the_oldest_rule_is_the_first(self, base: str) -> None:
        old = rule("  trafficPolicy: {loadBalancer: {simple: RANDOM}}", name="z").replace(
            "name: z,", "name: z, creationTimestamp: 2020-01-01T00:00:00Z,"
        )
        new = rule("  trafficPolicy: {}", name="a").replace(
            "name: a,", "name: a, creationTimestamp: 2021-01-01T00:00:00Z,"
        )
        assert policy(base + new + old).policy.load_balancing == LoadBalancing(algorithm="RANDOM")

    @pytest.mark.parametrize("host", ["*", "*.local", "*.default.svc.cluster.local"])
    def test_a_wildcard_counts_for_services_without_a_rule_of_their_own(self, base: str, host: str) -> None:
        wide = rule("  trafficPolicy: {loadBalancer: {simple: RANDOM}}", name="wide", host=host)
        assert policy(base + wide).policy.load_balancing == LoadBalancing(algorithm="RANDOM")
        assert policy(base + wide + rule("  trafficPolicy: {}")).policy.load_balancing is None

    def test_a_rule_beside_the_service_hides_those_of_other_namespaces(self, base: str) -> None:
        other = rule("  trafficPolicy: {loadBalancer: {simple: RANDOM}}", host=HOST, namespace="other")
        assert HOST not in compile(read_text(base + other)).topology.policies
        assert policy(base + other + rule("  trafficPolicy: {}")).policy.load_balancing is None
        assert said(base + other + rule("  trafficPolicy: {}")) == [
            "m.yaml:27: warning: this DestinationRule does nothing: others come before it, or it is for namespaces "
            "without callers [ineffective-rule]"
        ]


def test_consistent_hashing_keeps_a_retry_on_its_pod(base: str) -> None:
    hashing = rule("  trafficPolicy: {loadBalancer: {consistentHash: {useSourceIp: true}}}")
    routes = (
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: r}\nspec:\n  hosts: [reviews]\n"
    )
    routes += "  http: [{route: [{destination: {host: reviews}}]}]\n"
    for text, other_host in ((base + routes, True), (base + hashing + routes, False)):
        retry = compile(read_text(text)).topology.tables[0].routes[0].retry
        assert retry is not None
        assert retry.other_host is other_host


class TestDiagnostics:
    def test_a_rule_for_no_service_warns_with_the_nearest(self, base: str) -> None:
        assert said(base + rule("", host="revews")) == [
            "m.yaml:27: warning: DestinationRule for `revews`, which is no Service here; did you mean `reviews`? "
            "[unknown-host]"
        ]

    def test_a_subset_that_selects_nothing_warns(self, base: str) -> None:
        assert said(base + rule("  subsets:\n  - {name: v9, labels: {version: v9}}")) == [
            "m.yaml:33: warning: subset `v9` of `reviews` selects no Deployment (version=v9) [empty-subset]"
        ]

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            (
                "  trafficPolicy: {tunnel: {targetHost: a}}",
                "m.yaml:32: warning: `spec.trafficPolicy.tunnel` is not supported: requests are not tunnelled "
                "[not-supported]",
            ),
            (
                "  workloadSelector: {matchLabels: {app: a}}",
                "m.yaml:32: warning: `spec.workloadSelector` is not supported: the rule counts for all callers "
                "[not-supported]",
            ),
            (
                "  trafficPolicy: {loadBalancer: {simple: ROUNDROBIN}}",
                "m.yaml:32: error: `spec.trafficPolicy.loadBalancer.simple` must be one of UNSPECIFIED, LEAST_REQUEST, "
                "LEAST_CONN, ROUND_ROBIN, RANDOM, PASSTHROUGH, not 'ROUNDROBIN'; did you mean 'ROUND_ROBIN'? "
                "[bad-value]",
            ),
            (
                "  trafficPolicy: {loadBalancer: {warmup: {minimumPercent: 5}}}",
                "m.yaml:32: error: `spec.trafficPolicy.loadBalancer.warmup.duration` is required [missing-field]",
            ),
            (
                "  trafficPolicy: {loadBalancer: {warmup: {duration: 1s, minimumPercent: 150}}}",
                "m.yaml:32: error: `spec.trafficPolicy.loadBalancer.warmup.minimumPercent` must be 0 to 100, not 150 "
                "[bad-value]",
            ),
            (
                "  trafficPolicy: {loadBalancer: {consistentHash: {}}}",
                "m.yaml:32: error: `spec.trafficPolicy.loadBalancer.consistentHash` takes one of httpHeaderName, "
                "httpCookie, useSourceIp, httpQueryParameterName; it has none [bad-value]",
            ),
            (
                "  trafficPolicy: {loadBalancer: {simple: RANDOM, consistentHash: {useSourceIp: true}}}",
                "m.yaml:32: error: `spec.trafficPolicy.loadBalancer` takes one of simple, consistentHash; it has both "
                "[bad-value]",
            ),
            (
                "  trafficPolicy: {portLevelSettings: [{loadBalancer: {simple: RANDOM}}]}",
                "m.yaml:32: error: `spec.trafficPolicy.portLevelSettings[0].port.number` is required [missing-field]",
            ),
            ("  subsets: [{labels: {a: b}}]", "m.yaml:32: error: `spec.subsets[0].name` is required [missing-field]"),
            (
                "  subset: []",
                "m.yaml:32: error: unknown field `spec.subset`; did you mean `subsets`? [unknown-field]",
            ),
        ],
    )
    def test_each_complaint_has_its_place(self, base: str, spec: str, message: str) -> None:
        assert message in said(base + rule(spec))

    def test_plain_tls_is_what_there_is(self, base: str) -> None:
        assert said(base + rule("  trafficPolicy: {tls: {mode: DISABLE}}")) == []


class TestCallers:
    """Who calls decides which rules count (Istio: its own namespace, the service's, the root's)."""

    @pytest.fixture
    def mesh(self, base: str) -> str:
        """Reviews of `default`, and a caller in `shop`."""
        return base + (
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart, namespace: shop}\n"
            "spec: {selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}, "
            "spec: {containers: [{name: a, image: a}]}}}\n---\n"
        )

    def simple(self, name: str) -> str:
        return f"  trafficPolicy: {{loadBalancer: {{simple: {name}}}}}"

    def algorithms(self, text: str) -> tuple[str | None, str | None]:
        """(shared, of callers in shop)"""
        topology = compile(read_text(text)).topology
        found = (topology.policies.get(HOST), topology.namespace_policies.get(("shop", HOST)))
        one, other = (p.policy.load_balancing if p else None for p in found)
        return one.algorithm if one else None, other.algorithm if other else None

    def test_a_rule_of_their_own_namespace_is_for_them_alone(self, mesh: str) -> None:
        own = rule(self.simple("RANDOM"), host=HOST, namespace="shop")
        assert self.algorithms(mesh + rule(self.simple("ROUND_ROBIN")) + own) == ("ROUND_ROBIN", "RANDOM")
        assert said(mesh + rule(self.simple("ROUND_ROBIN")) + own) == []

    def test_even_a_wildcard_of_their_own_comes_first(self, mesh: str) -> None:
        own = rule(self.simple("RANDOM"), host="*.local", namespace="shop")
        assert self.algorithms(mesh + rule(self.simple("ROUND_ROBIN")) + own) == ("ROUND_ROBIN", "RANDOM")

    def test_a_private_rule_is_not_for_others(self, mesh: str) -> None:
        private = rule(self.simple("RANDOM") + "\n  exportTo: [.]")
        topology = compile(read_text(mesh + private)).topology
        assert topology.namespace_policies["shop", HOST].policy.load_balancing is None
        everywhere = rule(self.simple("ROUND_ROBIN"), host=HOST, namespace="istio-system")
        assert self.algorithms(mesh + private + everywhere) == ("RANDOM", "ROUND_ROBIN")

    def test_a_rule_for_some_namespaces(self, mesh: str) -> None:
        assert self.algorithms(mesh + rule(self.simple("RANDOM") + "\n  exportTo: [shop]"))[0] == "RANDOM"

    def test_subsets_of_some_are_there_for_all_and_told(self, mesh: str) -> None:
        own = rule("  subsets: [{name: own, labels: {version: v1}}]", host=HOST, namespace="shop")
        shared = rule("  subsets: [{name: v1, labels: {version: v1}}]")
        assert [s.name for s in compile(read_text(mesh + shared + own)).topology.policies[HOST].subsets] == [
            "v1",
            "own",
        ]
        assert [text.partition(": ")[2] for text in said(mesh + shared + own)] == [
            f"warning: subset `own` of `{HOST}` is for callers of some namespaces; here all know it [not-supported]"
        ]
