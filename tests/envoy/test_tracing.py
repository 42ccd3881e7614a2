"""Spans of the real Envoy and of services: who is whose parent, what they tell, which requests are traced."""

from __future__ import annotations

import shlex
import sys
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from meshtest import Mesh
from meshtest.lib import wait
from meshtest.model.span import Span

PATIENCE = 30.0

SERVICE = """---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}-v1}}
spec:
  selector: {{matchLabels: {{app: {name}, version: v1}}}}
  template:
    metadata: {{labels: {{app: {name}, version: v1}}, annotations: {{{annotations}}}}}
    spec:
      containers:
      - {{name: {name}, image: "shop/{name}:1", ports: [{{containerPort: 8080}}], env: [{env}]}}
"""
GATEWAY = """---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front}
spec: {hosts: [shop.example.com], gateways: [front], http: [{route: [{destination: {host: web}}]}]}
"""
RETRIES = """---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web}}], retries: {attempts: 2, retryOn: 5xx}}]
"""


def service(name: str, env: str = "", **annotations: str) -> str:
    told = ", ".join(f'meshtest.dev/{key.replace("_", "-")}: "{value}"' for key, value in annotations.items())
    return SERVICE.format(name=name, annotations=told, env=env)


def spans(mesh: Mesh) -> Sequence[Span]:
    """What the proxies have told of all requests that have ended."""
    mesh.flush()
    mesh.flush_spans()
    return mesh.run.history().spans


def waited_for(mesh: Mesh, enough: Callable[[Sequence[Span]], bool]) -> Sequence[Span]:
    """Services send when they like."""
    wait.until(lambda: enough(spans(mesh)), within=PATIENCE, what=str)
    return spans(mesh)


def path(found: Sequence[Span], span: Span) -> list[str]:
    """From the root to this span: service, direction of a proxy, kind."""
    by_id = {s.id: s for s in found}
    direction = span.attributes.get("meshtest.direction", span.source)
    here = f"{span.service} {direction} {span.kind}"
    return [*(path(found, by_id[span.parent]) if span.parent in by_id else ()), here]


def outbound(span: Span) -> bool:
    return span.attributes.get("meshtest.direction") == "outbound"


SHOP = service("web", calls="http://cart/", spans="redis GET 2ms; stripe charge 1ms error") + service("cart") + GATEWAY


@pytest.mark.mesh(traces="all")
class TestAll:
    def test_each_hop_is_the_child_of_the_one_before(self, mesh: Mesh) -> None:
        mesh.apply(text=SHOP)
        with mesh.load("GET http://shop.example.com/", rps=50, requests=5) as load:
            load.until(requests=5)
        assert load.failures == []
        found = waited_for(mesh, lambda s: len(s) >= 5 * 9)
        assert mesh.run.history().of("spans.dropped") == []
        assert len({span.trace for span in found}) == 5
        (last, *_) = [
            s for s in found if s.service == "cart.default" and s.attributes["meshtest.direction"] == "inbound"
        ]
        assert path(found, last) == [
            "istio-ingressgateway.istio-system gateway server",
            "istio-ingressgateway.istio-system gateway client",
            "web.default inbound server",
            "web service server",
            "web.default outbound server",
            "web.default outbound client",
            "cart.default inbound server",
        ]
        assert (last.version, last.pod, last.source, last.name) == ("v1", "cart-v1-0", "proxy", "GET cart/")
        self._own(found)

    def _own(self, found: Sequence[Span]) -> None:
        """The service's own spans, one with an error that no answer shows."""
        redis, stripe = (next(s for s in found if s.name == name) for name in ("redis GET", "stripe charge"))
        assert path(found, redis)[-2:] == ["web service server", "web service client"]
        assert (redis.status, redis.version, redis.pod) == ("", "v1", "web-v1-0")
        assert redis.seconds >= 0.002
        assert (stripe.status, stripe.text) == ("error", "the stand-in was told to fail here")

    def test_attempts_and_faults_are_told(self, mesh: Mesh) -> None:
        mesh.apply(text=service("web", errors="503:100") + RETRIES + service("cart"))
        failed = mesh.ask("GET http://web/")
        with mesh.fault("cart", delay="20ms"):
            assert mesh.ask("GET http://cart/").status == 200
        with mesh.fault("cart", abort=418):
            assert mesh.ask("GET http://cart/").status == 418
        assert failed.status == 503
        found = spans(mesh)
        tries = [s for s in found if s.kind == "client" and s.attributes["x-meshtest-id"] == "ask-1"]
        assert [s.attributes.get("retry.count") for s in sorted(tries, key=lambda s: s.start)] == [None, "1", "2"]
        assert {s.status for s in tries} == {"error"}
        by_ask = {s.attributes["x-meshtest-id"]: s for s in found if s.kind == "server" and outbound(s)}
        delayed, aborted = by_ask["ask-2"], by_ask["ask-3"]
        assert (delayed.attributes["response_flags"], aborted.attributes["response_flags"]) == ("DI", "FI")
        assert delayed.seconds > 0.01  # by a clock that Envoy looks at now and then

    def test_a_client_of_the_user_s_that_knows_no_traces_is_traced(self, mesh: Mesh) -> None:
        mesh.apply(text=service("web"))
        proxy = urllib.request.ProxyHandler({"http": mesh.provider.describe()["proxy"]})
        assert urllib.request.build_opener(proxy).open("http://web/", timeout=PATIENCE).status == 200
        found = waited_for(mesh, lambda s: len(s) == 3)
        assert len({span.trace for span in found}) == 1
        (root,) = [span for span in found if not span.parent]
        assert root.service == "meshtest-client.default"

    def test_a_service_that_drops_the_header_breaks_the_trace(self, mesh: Mesh) -> None:
        mesh.apply(text=service("web", calls="http://cart/", drop_headers="traceparent") + service("cart"))
        mesh.ask("GET http://web/")
        found = spans(mesh)
        roots = sorted((s.service, s.attributes["http.url"]) for s in found if not s.parent)
        assert roots == [("meshtest-client.default", "http://web/"), ("web.default", "http://cart/")]


class TestSome:
    def test_the_flag_of_the_request_decides(self, mesh: Mesh) -> None:
        """The load's seed decides which; all proxies and services follow."""
        mesh.apply(text=service("web", calls="http://cart/", spans="") + service("cart"))
        with mesh.load("GET http://web/", rps=200, requests=60, sampled=0.3) as load:
            load.until(requests=60)
        found = waited_for(mesh, lambda s: len(s) % 7 == 0 and len(s) > 0)
        traces = {span.trace for span in found}
        assert 5 <= len(traces) <= 35
        assert len(found) == 7 * len(traces)

    @pytest.mark.mesh(traces="off")
    def test_off_is_off(self, mesh: Mesh) -> None:
        mesh.apply(text=service("web", spans="redis GET 1ms"))
        sent_before = mesh.provider.counters("^tracing.*spans_sent")
        with mesh.load("GET http://web/", rps=100, requests=5, sampled=1.0) as load:
            load.until(requests=5)
        assert load.failures == []
        assert mesh.collector is None
        assert list(spans(mesh)) == []
        assert mesh.provider.counters("^tracing.*spans_sent") == sent_before

    @pytest.mark.mesh(traces="all", trace_headers="b3")
    def test_services_that_forward_only_b3_stay_in_one_trace(self, mesh: Mesh) -> None:
        mesh.apply(text=service("web", calls="http://cart/", drop_headers="traceparent", spans="") + service("cart"))
        with mesh.load("GET http://web/", rps=50, requests=3) as load:
            load.until(requests=3)
        found = waited_for(mesh, lambda s: len(s) >= 21)
        assert len({span.trace for span in found}) == 3
        (last, *_) = [s for s in found if s.service == "cart.default"]
        assert path(found, last)[-4:] == [
            "web service server", "web.default outbound server", "web.default outbound client",
            "cart.default inbound server",
        ]  # fmt: skip


PROGRAM = """
import http.server, os, sys
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("shop")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        context = propagate.extract({name.lower(): value for name, value in self.headers.items()})
        with tracer.start_as_current_span("handle", context=context, kind=trace.SpanKind.SERVER):
            with tracer.start_as_current_span("query") as span:
                span.set_attribute("db.system", "postgresql")
                span.add_event("cache miss")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"well")

    def log_message(self, *_):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.mark.mesh(traces="all")
def test_programs_with_the_real_sdk_are_in_the_trace_by_http_and_by_grpc(mesh: Mesh, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(PROGRAM)
    command = shlex.join([sys.executable, str(tmp_path / "shop.py")])
    grpc = "{name: OTEL_EXPORTER_OTLP_PROTOCOL, value: grpc}"
    mesh.apply(text=service("web", command=command) + service("cart", env=grpc, command=command))
    for name in ("web", "cart"):
        assert mesh.ask(f"GET http://{name}/").status == 200
    found = waited_for(mesh, lambda s: sum(span.source == "service" for span in s) == 4)
    for name in ("web", "cart"):
        (query,) = [span for span in found if span.service == name and span.name == "query"]
        assert path(found, query) == [
            "meshtest-client.default outbound server", "meshtest-client.default outbound client",
            f"{name}.default inbound server", f"{name} service server", f"{name} service internal",
        ]  # fmt: skip
        assert (query.version, query.pod, query.source) == ("v1", f"{name}-v1-0", "service")
        assert query.attributes["db.system"] == "postgresql"
        assert query.resource["k8s.namespace.name"] == "default"
        assert query.events[0]["name"] == "cache miss"
