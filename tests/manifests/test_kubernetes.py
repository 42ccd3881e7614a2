"""Services and Deployments: defaults, what is refused and where, and versions."""

from __future__ import annotations

import pytest

from meshtest.manifests.compiler import compile
from meshtest.manifests.reader import read_text
from meshtest.model.diagnostic import Severity
from meshtest.model.service import ContainerPort, Handler, Probe, Service, ServicePort, Workload


def said(text: str, least: Severity = Severity.WARNING) -> list[str]:
    return [str(d) for d in compile(read_text(text, "m.yaml")).diagnostics if d.severity >= least]


def service(spec: str) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: web}}\nspec:\n{spec}"


def deployment(pod: str, *, spec: str = "", name: str = "web", labels: str = "{app: web}", match: str = "") -> str:
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, annotations: {{a: outer, b: outer}}}}
spec:
  selector: {{matchLabels: {match or labels}}}
  template:
    metadata: {{labels: {labels}, annotations: {{a: inner}}}}
    spec:
{pod}
{spec}
"""


ONE = "      containers: [{name: web, image: web}]"


def the_service(text: str) -> Service:
    (found,) = compile(read_text(text)).topology.services
    return found


def the_workload(text: str) -> Workload:
    (found,) = compile(read_text(text)).topology.workloads
    return found


class TestService:
    def test_a_port_leads_to_its_own_number_unless_it_says_otherwise(self) -> None:
        text = service(
            "  ports: [{port: 80, name: http}, {port: 81, name: a, targetPort: 8081}, "
            "{port: 82, name: b, targetPort: web}]"
        )
        assert [p.target for p in the_service(text).ports] == [80, 8081, "web"]

    @pytest.mark.parametrize(
        ("port", "protocol"),
        [
            ("", "http"),
            ("name: http", "http"),
            ("name: http-web", "http"),
            ("name: http2-web", "http2"),
            ("name: grpc", "grpc"),
            ("name: grpc-web", "grpc"),
            ("name: tcp-db", "tcp"),
            ("name: mysql", "tcp"),
            ("name: https", "tcp"),
            ("name: web", "http"),
            ("name: tcp-db, appProtocol: http", "http"),
            ("name: web, appProtocol: kubernetes.io/h2c", "http2"),
            ("name: web, appProtocol: kubernetes.io/ws", "http"),
            ("name: web, appProtocol: grpc", "grpc"),
            ("name: grpc-web-api", "grpc"),
        ],
    )
    def test_the_protocol_is_the_one_istio_chooses(self, port: str, protocol: str) -> None:
        text = service(f"  ports: [{{port: 80, {port}}}]".replace(", }", "}"))
        assert the_service(text).ports[0].protocol == protocol

    def test_an_ordinary_service(self) -> None:
        found = the_service(service("  selector: {app: web}\n  ports: [{port: 80}]\n"))
        assert found.fqdn == "web.default.svc.cluster.local"
        assert found.ports == (ServicePort(number=80, target=80),)
        assert (found.selector, found.headless) == ({"app": "web"}, False)
        assert str(found.source) == "<text>:1"

    def test_a_headless_service(self) -> None:
        assert the_service(service("  clusterIP: None\n  ports: [{port: 80}]\n")).headless

    def test_an_external_name_is_left_out_and_told(self) -> None:
        text = service("  type: ExternalName\n  externalName: example.com\n")
        assert said(text) == [
            "m.yaml:5: warning: `spec.type` is not supported: a Service of type ExternalName is left out "
            "[not-supported]"
        ]
        assert compile(read_text(text)).topology.services == ()

    def test_a_udp_port_is_left_out_and_told(self) -> None:
        text = service("  ports:\n  - {port: 53, name: dns, protocol: UDP}\n  - {port: 80, name: http}\n")
        assert said(text) == [
            "m.yaml:6: warning: `spec.ports[0].protocol` is not supported: this port speaks UDP [not-supported]"
        ]
        assert [p.number for p in the_service(text).ports] == [80]

    @pytest.mark.parametrize(
        ("spec", "message"),
        [
            ("  ports: [{port: 0}]", "m.yaml:5: error: `spec.ports[0].port` must be 1 to 65535, not 0 [bad-value]"),
            ("  ports: [{name: a}]", "m.yaml:5: error: `spec.ports[0].port` is required [missing-field]"),
            ("  ports: 80", "m.yaml:5: error: `spec.ports` must be a list, not 80 [wrong-type]"),
            (
                "  ports: [{port: '80'}]",
                "m.yaml:5: error: `spec.ports[0].port` must be an integer, not '80' [wrong-type]",
            ),
            (
                "  ports: [{port: 80}, {port: 81, name: b}]",
                "m.yaml:5: error: `spec.ports[0].name` is required: the Service has 2 ports [missing-field]",
            ),
            (
                "  ports:\n  - {port: 80, name: a}\n  - {port: 80, name: b}",
                "m.yaml:7: error: port 80 stands twice, first at m.yaml:6 [duplicate-port]",
            ),
            (
                "  selector: {version: 1}",
                "m.yaml:5: error: `spec.selector.version` must be a string (write it in quotes), not 1 [wrong-type]",
            ),
            (
                "  selektor: {app: web}",
                "m.yaml:5: error: unknown field `spec.selektor`; did you mean `selector`? [unknown-field]",
            ),
            (
                "  type: Clusterip",
                "m.yaml:5: error: `spec.type` must be one of ClusterIP, NodePort, LoadBalancer, ExternalName, not "
                "'Clusterip'; did you mean 'ClusterIP'? [bad-value]",
            ),
        ],
    )
    def test_a_bad_service_is_told_with_its_place(self, spec: str, message: str) -> None:
        assert message in said(service(spec))


class TestDeployment:
    def test_what_a_minimal_one_means(self) -> None:
        found = the_workload(deployment(ONE))
        assert (found.replicas, found.grace) == (1, 30)
        assert (found.max_surge, found.max_unavailable, found.recreate) == ("25%", "25%", False)
        assert found.annotations == {"a": "inner", "b": "outer"}
        assert found.labels == {"app": "web"}

    def test_the_parts_of_a_container(self) -> None:
        found = the_workload(
            deployment("""\
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: web:1
        command: [serve]
        args: ["--port", "8080"]
        env: [{name: A, value: b}, {name: EMPTY}]
        ports: [{containerPort: 8080, name: web}]
        readinessProbe:
          httpGet: {path: ready, port: web, httpHeaders: [{name: X-Probe, value: "1"}]}
          initialDelaySeconds: 1
          periodSeconds: 2
          timeoutSeconds: 3
          successThreshold: 4
          failureThreshold: 5
        livenessProbe: {tcpSocket: {port: 8080}}
        startupProbe: {exec: {command: [test, -f, /ok]}, periodSeconds: 0}
        lifecycle: {preStop: {sleep: {seconds: 5}}}
""")
        )
        (container,) = found.containers
        assert (found.grace, container.command, container.args) == (0, ("serve",), ("--port", "8080"))
        assert container.env == (("A", "b"), ("EMPTY", ""))
        assert container.ports == (ContainerPort(number=8080, name="web"),)
        assert container.readiness == Probe(
            handler=Handler(kind="http", path="/ready", port="web", headers=(("X-Probe", "1"),)),
            initial_delay=1, period=2, timeout=3, success_threshold=4, failure_threshold=5,
        )  # fmt: skip
        assert container.liveness == Probe(handler=Handler(kind="tcp", port=8080))
        assert container.startup == Probe(handler=Handler(kind="exec", command=("test", "-f", "/ok")))
        assert container.pre_stop == Handler(kind="sleep", seconds=5)

    def test_recreate_has_no_surge(self) -> None:
        found = the_workload(deployment(ONE, spec="  strategy: {type: Recreate}"))
        assert (found.max_surge, found.max_unavailable, found.recreate) == (0, "100%", True)

    def test_a_rolling_update_takes_numbers_and_percentages(self) -> None:
        spec = "  strategy: {rollingUpdate: {maxSurge: 1, maxUnavailable: 0%}}"
        found = the_workload(deployment(ONE, spec=spec))
        assert (found.max_surge, found.max_unavailable) == (1, "0%")

    def test_zero_replicas_are_no_default(self) -> None:
        assert the_workload(deployment(ONE, spec="  replicas: 0")).replicas == 0

    def test_fields_without_effect_are_listed_but_do_not_warn(self) -> None:
        pod = "      nodeName: web\n      volumes: []\n      containers: [{name: web, resources: {}}]"
        assert said(deployment(pod)) == []
        assert "m.yaml:9: info: `spec.template.spec.nodeName` has no effect here [unused]" in said(
            deployment(pod), Severity.INFO
        )

    def test_a_grpc_probe_asks_a_port_for_a_service_or_the_whole_server(self) -> None:
        pod = """\
      containers:
      - name: web
        livenessProbe: {grpc: {port: 9000, service: shop.Cart}, periodSeconds: 3}
        readinessProbe: {grpc: {port: 9000}}"""
        assert said(deployment(pod)) == []
        (container,) = the_workload(deployment(pod)).containers
        assert container.liveness == Probe(handler=Handler(kind="grpc", port=9000, path="shop.Cart"), period=3)
        assert container.readiness == Probe(handler=Handler(kind="grpc", port=9000, path=""))

    def test_secrets_and_config_maps_among_the_volumes_are_mounts(self) -> None:
        volumes = """
      volumes:
      - {name: a, secret: {secretName: server, items: [{key: tls.crt, path: crt}]}}
      - {name: b, emptyDir: {}}
      - {name: c, configMap: {name: clients}}"""
        assert said(deployment(ONE + volumes)) == []
        assert the_workload(deployment(ONE + volumes)).mounts == ("default/server", "ConfigMap/default/clients")

    def test_fields_that_would_matter_warn_with_the_reason(self) -> None:
        pod = """\
      containers:
      - name: web
        env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
        lifecycle: {postStart: {exec: {command: [a]}}}"""
        path = "spec.template.spec.containers[0]"
        assert said(deployment(pod)) == [
            f"m.yaml:12: warning: `{path}.lifecycle.postStart` is not supported: it is not run [not-supported]",
            f"m.yaml:11: warning: `{path}.env[0].valueFrom` is not supported: the variable is not set [not-supported]",
        ]

    def test_a_field_at_its_zero_value_asks_for_nothing(self) -> None:
        assert said(deployment(ONE, spec="  paused: false\n  minReadySeconds: 0")) == []

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                deployment(ONE, match="{app: web, tier: front}"),
                "m.yaml:5: error: `spec.selector` does not match `spec.template.metadata.labels`: the pods lack "
                "tier=front [selector-mismatch]",
            ),
            (
                deployment("      containers: []"),
                "m.yaml:9: error: `spec.template.spec.containers` needs at least one container [missing-field]",
            ),
            (
                deployment("      contianers: [{name: web}]"),
                "m.yaml:9: error: unknown field `spec.template.spec.contianers`; did you mean `containers`? "
                "[unknown-field]",
            ),
            (
                deployment("      containers: [{name: web, readinesProbe: {}}]"),
                "m.yaml:9: error: unknown field `spec.template.spec.containers[0].readinesProbe`; did you mean "
                "`readinessProbe`? [unknown-field]",
            ),
            (
                deployment("      containers: [{name: web, readinessProbe: {periodSeconds: 1}}]"),
                "m.yaml:9: error: `spec.template.spec.containers[0].readinessProbe` needs one of httpGet, tcpSocket, "
                "grpc, exec [missing-field]",
            ),
            (
                deployment(ONE, spec="  replicas: -1"),
                "m.yaml:10: error: `spec.replicas` must be at least 0, not -1 [bad-value]",
            ),
            (
                deployment(ONE, spec="  replicas: two"),
                "m.yaml:10: error: `spec.replicas` must be an integer, not 'two' [wrong-type]",
            ),
            (
                deployment(ONE, spec="  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 0}}"),
                "m.yaml:10: error: `spec.strategy.rollingUpdate`: maxSurge and maxUnavailable may not both be 0 "
                "[bad-value]",
            ),
            (
                deployment(ONE, spec="  strategy: {rollingUpdate: {maxSurge: lots}}"),
                "m.yaml:10: error: `spec.strategy.rollingUpdate.maxSurge` must be an integer or a percentage like "
                "\"25%\", not 'lots' [wrong-type]",
            ),
            (
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
                "m.yaml:1: error: `spec.template.spec` is required [missing-field]",
            ),
        ],
    )
    def test_a_bad_deployment_is_told_with_its_place(self, text: str, message: str) -> None:
        assert message in said(text)


class TestVersions:
    def test_two_deployments_for_one_version_name_both_places(self, reviews: str) -> None:
        twin = deployment(ONE, name="reviews-v2b", labels="{app: reviews, version: v2}")
        assert said(reviews + twin) == [
            "m.yaml:36: error: Workloads `reviews-v2` (m.yaml:17) and `reviews-v2b` are both version 'v2' of service "
            "`reviews`; give each a `version` label of its own [duplicate-version]"
        ]

    def test_without_a_version_label_the_name_tells_them_apart(self) -> None:
        text = "---\n".join(
            (service("  selector: {app: web}\n  ports: [{port: 80}]\n"), deployment(ONE), deployment(ONE, name="new"))
        )
        assert said(text) == []
        assert [w.version for w in compile(read_text(text)).topology.workloads] == ["web", "new"]
