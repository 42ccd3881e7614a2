"""No field is forgotten: the tables hold every property of the CRDs, and what they call translated is really read."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshtest.manifests import view as view_module
from meshtest.manifests.compiler import compile
from meshtest.manifests.fields import METADATA, Fields
from meshtest.manifests.hosts import mesh_hosts
from meshtest.manifests.istio.fields import DESTINATION_RULE, VIRTUAL_SERVICE
from meshtest.manifests.istio.gateway_fields import GATEWAY
from meshtest.manifests.istio.registry_fields import SERVICE_ENTRY, SIDECAR, WORKLOAD_ENTRY
from meshtest.manifests.istio_security.peer import PEER_AUTHENTICATION
from meshtest.manifests.kubernetes.fields import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, SECRET, SERVICE
from meshtest.manifests.patch import put
from meshtest.manifests.reader import read_text
from meshtest.manifests.view import View
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Document, Documents
from meshtest.model.document import Path as DocumentPath
from tests.crds import schemas_of, unlike

ISTIO = {
    "VirtualService": VIRTUAL_SERVICE,
    "DestinationRule": DESTINATION_RULE,
    "Gateway": GATEWAY,
    "ServiceEntry": SERVICE_ENTRY,
    "WorkloadEntry": WORKLOAD_ENTRY,
    "Sidecar": SIDECAR,
}
SECURITY = {"PeerAuthentication": PEER_AUTHENTICATION}


@pytest.mark.parametrize("kind", [*ISTIO, *SECURITY])
def test_every_property_of_the_crd_is_translated_or_reported(kind: str, schemas: Path) -> None:
    spec = {**ISTIO, **SECURITY}[kind].read["spec"]
    assert spec is not None
    assert unlike(schemas_of(schemas / "istio.yaml")[kind], spec) == []


EVERYTHING = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: all}
spec:
  hosts: [reviews]
  gateways: [mesh]
  exportTo: ["*"]
  http:
  - name: all
    match:
    - {uri: {exact: /a}, scheme: {prefix: h}, method: {regex: GET}, authority: {exact: reviews}, ignoreUriCase: true,
       headers: {a: {exact: b}}, withoutHeaders: {c: {exact: d}}, queryParams: {e: {exact: f}}, name: m, port: 9080,
       sourceLabels: {app: a}, sourceNamespace: default, gateways: [mesh]}
    delegate: {name: below, namespace: default}
  - route:
    - destination: {host: reviews, subset: v1, port: {number: 9080}}
      weight: 1
      headers: {request: {set: {a: b}, add: {c: d}, remove: [e]}, response: {set: {a: b}}}
    timeout: 1s
    retries: {attempts: 1, perTryTimeout: 1s, retryOn: reset, retryRemoteLocalities: true,
              retryIgnorePreviousHosts: true, backoff: 1s}
    fault:
      delay: {fixedDelay: 1s, percent: 1, percentage: {value: 1}}
      abort: {httpStatus: 500, grpcStatus: OK, percentage: {value: 1}}
    mirror: {host: reviews}
    mirrorPercent: 1
    mirror_percent: 1
    mirrorPercentage: {value: 1}
    corsPolicy: {allowOrigin: [a], allowOrigins: [{exact: a}], allowMethods: [a], allowHeaders: [a], maxAge: 1s,
                 exposeHeaders: [a], allowCredentials: true, unmatchedPreflights: FORWARD}
    headers: {request: {set: {a: b}}}
    rewrite: {uri: /, authority: a, uriRegexRewrite: {match: a, rewrite: b}}
  - redirect: {uri: /, prefixRewrite: /, authority: a, port: 80, derivePort: FROM_PROTOCOL_DEFAULT, scheme: http,
               redirectCode: 301}
    mirrors: [{destination: {host: reviews}, percentage: {value: 1}}]
  - directResponse: {status: 200, body: {string: a, bytes: ""}}
  tcp:
  - match: [{destinationSubnets: [10.0.0.0/8], port: 1, sourceLabels: {a: b}, sourceNamespace: a, gateways: [mesh]}]
    route: [{destination: {host: reviews}, weight: 1}]
  tls:
  - match: [{sniHosts: [reviews], destinationSubnets: [10.0.0.0/8], port: 1, sourceLabels: {a: b}, sourceNamespace: a,
             gateways: [mesh]}]
    route: [{destination: {host: reviews}, weight: 1}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: below}
spec: {http: [{route: [{destination: {host: reviews}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: all}
spec:
  host: reviews
  exportTo: ["*"]
  trafficPolicy: &policy
    loadBalancer: {simple: RANDOM, warmupDurationSecs: 1s}
    connectionPool:
      tcp: {maxConnections: 1, connectTimeout: 1s, idleTimeout: 1s, maxConnectionDuration: 1s,
            tcpKeepalive: {probes: 1, time: 1s, interval: 1s}}
      http: {http1MaxPendingRequests: 1, http2MaxRequests: 1, maxRequestsPerConnection: 1, maxRetries: 1,
             idleTimeout: 1s, h2UpgradePolicy: DEFAULT, useClientProtocol: false, maxConcurrentStreams: 1,
             http2KeepAlive: {interval: 1s, timeout: 1s}}
    outlierDetection: {splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 1,
                       consecutiveGatewayErrors: 1, consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 1s,
                       maxEjectionPercent: 1, minHealthPercent: 1, outlierDetectionHttpErrorCodes: [500]}
    tls: {mode: MUTUAL, caCertificates: a, clientCertificate: a, privateKey: a, credentialName: a, sni: a,
          subjectAltNames: [a], insecureSkipVerify: true}
    proxyProtocol: {version: V2}
    retryBudget: {percent: 1, minRetryConcurrency: 1}
    portLevelSettings:
    - {port: {number: 1}, loadBalancer: {warmup: {duration: 1s, minimumPercent: 1, aggression: 1}},
       connectionPool: {}, outlierDetection: {}, tls: {}}
    - {port: {number: 2}, loadBalancer: {consistentHash: {httpHeaderName: a, minimumRingSize: 1},
         localityLbSetting: {enabled: true, failoverPriority: [a], distribute: [{from: a, to: {b: 100}}],
                             failover: [{from: a, to: b}]}}}
    - {port: {number: 3}, loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 1}}}}
    - {port: {number: 4}, loadBalancer: {consistentHash: {httpCookie: {name: a, path: /, ttl: 1s,
                                                                       attributes: [{name: a, value: b}]},
                                                          ringHash: {minimumRingSize: 1}}}}
    - {port: {number: 5}, loadBalancer: {consistentHash: {httpQueryParameterName: a}}}
  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: *policy}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: all}
spec:
  selector: {istio: ingress}
  servers:
  - {name: a, hosts: ["*"], port: {number: 80, name: http, protocol: HTTP}}
  - name: b
    hosts: ["*"]
    port: {number: 443, name: https, protocol: HTTPS}
    tls: {httpsRedirect: true, mode: MUTUAL, serverCertificate: a, privateKey: a, caCertificates: a,
          subjectAltNames: [a], credentialName: a, credentialNames: [a], caCertCredentialName: a, cipherSuites: [a],
          minProtocolVersion: TLSV1_2, maxProtocolVersion: TLSV1_3,
          tlsCertificates: [{serverCertificate: a, privateKey: a}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: all}
spec:
  hosts: [all.example]
  addresses: [240.0.0.1]
  exportTo: ["*"]
  location: MESH_EXTERNAL
  resolution: STATIC
  subjectAltNames: [a]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  workloadSelector: {labels: {a: b}}
  endpoints: [{address: 127.0.0.1, ports: {http: 80}, labels: {a: b}, locality: a, weight: 1, serviceAccount: a}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: all}
spec: {address: 127.0.0.1, ports: {http: 80}, labels: {a: b}, locality: a, weight: 1, serviceAccount: a}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: all}
spec:
  workloadSelector: {labels: {a: b}}
  egress: [{port: {number: 80}, hosts: ["./*"]}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
---
apiVersion: v1
kind: Service
metadata: {name: all, labels: {a: b}}
spec:
  type: ClusterIP
  clusterIP: None
  sessionAffinity: None
  selector: {app: a}
  ports: [{name: a, port: 80, targetPort: 80, protocol: TCP, appProtocol: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: all, labels: {a: b}, annotations: {a: b}}
spec:
  replicas: 1
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}
  selector: {matchLabels: {app: a}}
  template:
    metadata: {labels: {app: a}, annotations: {a: b}}
    spec:
      terminationGracePeriodSeconds: 1
      serviceAccountName: a
      serviceAccount: a
      containers:
      - name: a
        image: a
        command: [a]
        args: [a]
        env: [{name: a, value: b}]
        ports: [{name: a, containerPort: 80, protocol: TCP}]
        readinessProbe: &probe
          httpGet: {path: /, port: 80, scheme: HTTP, httpHeaders: [{name: a, value: b}]}
          initialDelaySeconds: 1
          periodSeconds: 1
          timeoutSeconds: 1
          successThreshold: 1
          failureThreshold: 1
        livenessProbe: {tcpSocket: {port: 80}}
        startupProbe: {exec: {command: [a]}}
        lifecycle: {preStop: {sleep: {seconds: 1}}}
      - {name: b, lifecycle: {preStop: {exec: {command: [a]}}}}
      - {name: c, lifecycle: {preStop: {httpGet: {port: 80}}}}
      - {name: d, lifecycle: {preStop: {tcpSocket: {port: 80}}}}
      - {name: e, readinessProbe: &grpc {grpc: {port: 80, service: a}}, livenessProbe: *grpc, startupProbe: *grpc}
      volumes: [{secret: {secretName: a}}, {configMap: {name: a}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: each}
spec:
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}
  selector: {matchLabels: {app: each}}
  template:
    metadata: {labels: {app: each}}
    spec:
      terminationGracePeriodSeconds: 1
      serviceAccount: a
      nodeSelector: {a: b}
      containers: [{name: each, image: each}]
      volumes: [{name: a, secret: {secretName: a}}]
---
apiVersion: v1
kind: Secret
metadata: {name: all}
type: Opaque
data: {a: b}
stringData: {a: b}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: all}
data: {a: b}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: all}
spec: {selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: {"80": {mode: DISABLE}}}
---
"""
"""Every translated field of every kind; some contradict each other, which is no reason not to read them."""


def tables(fields: Fields, path: str) -> Iterator[tuple[str, Fields]]:
    yield path, fields
    for name, below in fields.read.items():
        if below is not None and below is not METADATA:
            yield from tables(below, f"{path}.{name}")


def test_every_field_that_counts_as_translated_is_really_read(reviews: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: set[tuple[int, str]] = set()
    original = View._get

    def spy(self: View, key: str) -> Any:
        read.add((id(self.fields), key))
        return original(self, key)

    monkeypatch.setattr(view_module.View, "_get", spy)
    compiled = compile(
        read_text(
            EVERYTHING
            + reviews.replace(
                "kind: DestinationRule\nmetadata: {name: reviews}", "kind: DestinationRule\nmetadata: {name: z}"
            )
        )
    )
    assert not [d for d in compiled.diagnostics if d.code in ("unknown-field", "wrong-type", "not-supported")]
    kinds = {**ISTIO, **SECURITY, "Service": SERVICE, "Deployment": DEPLOYMENT, "DaemonSet": DAEMON_SET}
    kinds |= {"Secret": SECRET, "ConfigMap": CONFIG_MAP}
    unread = {
        f"{path}.{name}"
        for kind, table in kinds.items()
        for path, fields in tables(table, kind)
        for name in fields.read
        if (id(fields), name) not in read
    }
    by_document = {f"{kind}.{name}" for kind in kinds for name in ("apiVersion", "kind", "metadata")}
    assert unread - by_document == set()


@pytest.mark.parametrize(
    ("kind", "table"),
    [
        *ISTIO.items(),
        *SECURITY.items(),
        ("Service", SERVICE),
        ("Deployment", DEPLOYMENT),
        ("DaemonSet", DAEMON_SET),
    ],
)
def test_no_field_is_in_two_sets_and_every_reason_is_given(kind: str, table: Fields) -> None:
    for path, fields in tables(table, kind):
        assert len(fields.known) == len(set(fields.known)), path
        assert all(fields.unsupported.values()), path


def unsupported(fields: Fields, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name in fields.unsupported:
        yield (*path, name)
    for name, below in fields.read.items():
        if below is not None and below is not METADATA:
            yield from unsupported(below, (*path, name))


LISTS = {"match", "route", "mirrors", "subsets", "portLevelSettings", "servers", "allowOrigins", "tcp", "endpoints"}
MAPS = {"headers", "withoutHeaders", "queryParams"}
NEEDED: dict[str, Any] = {
    "VirtualService": {"hosts": ["a"]},
    "DestinationRule": {"host": "a"},
    "Gateway": {},
    "ServiceEntry": {"hosts": ["a.example"]},
    "WorkloadEntry": {},
    "Sidecar": {},
}
RULE = {"route": [{"destination": {"host": "a"}}]}


def nested(path: tuple[str, ...], kind: str) -> Any:
    """Data with something at the path."""
    if not path:
        return "x"
    below = nested(path[1:], kind)
    if path[0] == "http" and kind == "VirtualService":
        below = [{**RULE, **below}]
    elif path[0] == "servers":
        needed = {"port": {"number": 443, "name": "a", "protocol": "HTTPS"}, "hosts": ["*"], "tls": {"mode": "SIMPLE"}}
        below = [{**needed, **below, "port": {**needed["port"], **below.get("port", {})}}]
    elif path[0] in ("egress", "tlsCertificates") or (path[0] in LISTS and len(path) > 1):
        below = [below]
    elif path[0] in MAPS and len(path) > 1 and path[1] not in ("request", "response"):
        below = {"x": below}
    return {path[0]: below}


@pytest.mark.parametrize("kind", ISTIO)
def test_each_untranslated_field_warns_where_it_stands(kind: str) -> None:
    for path in unsupported(ISTIO[kind], ()):
        head = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": "a"}}
        spec = {**NEEDED[kind], **nested(path, kind)["spec"]}
        notes = compile(read_text(yaml.safe_dump({**head, "spec": spec}))).diagnostics
        found = [d for d in notes if d.code == "not-supported" and d.severity is Severity.WARNING]
        assert any(f".{path[-1]}` is not supported: " in d.message for d in found), path


FREE = {
    "data",
    "stringData",
    "portLevelMtls",
    "labels",
    "annotations",
    "matchLabels",
    "sourceLabels",
    "headers",
    "withoutHeaders",
    "queryParams",
    "set",
    "add",
    "to",
    "ports",
    "nodeSelector",
}
"""Mappings whose keys are the user's own."""


def mappings(documents: Documents) -> Iterator[tuple[Document, DocumentPath]]:
    for document in documents:
        for path in document.lines:
            if isinstance(node(document, path), dict):
                yield document, path


def node(document: Document, path: DocumentPath) -> Any:
    found: Any = document.data
    for step in path:
        found = found[step]
    return found


def test_an_unknown_field_is_an_error_wherever_it_stands() -> None:
    documents = read_text(EVERYTHING)
    for document, path in mappings(documents):
        own = bool(path) and path[-1] in FREE and "request" not in node(document, path)
        if own or (path == ("spec", "selector") and document.kind not in ("apps/Deployment", "apps/DaemonSet")):
            continue
        changed = put(document, (*path, "zzz"), "x")
        notes = compile(Documents((changed,))).diagnostics
        assert [d.severity for d in notes if "zzz`; " in d.message] == [Severity.ERROR], path


def test_no_value_of_a_wrong_type_is_more_than_a_diagnostic() -> None:
    documents = read_text(EVERYTHING)
    values: Iterator[Any] = itertools.cycle([1, "x", [], {}, [None], {"a": 1}, True, [[]], 1.5, -1, None, [{}], ""])
    for document in documents:
        for path in document.lines:
            if len(path) > 1 and path != ("metadata", "name"):
                changed = documents.apply([put(document, path, next(values))])
                mesh_hosts(compile(changed).topology, namespace="default", labels={})
