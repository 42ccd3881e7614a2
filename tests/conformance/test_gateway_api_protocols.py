"""Gateway API's conformance suite beyond plain HTTP: gRPC, TLS at gateways and to backends, TLSRoute, TCPRoute.

    client ── gRPC, HTTPS, TLS, TCP ──► gateway ── h2c, TLS, TCP ──► grpc-infra-backend, tls-backend, tcp-echo

Requests are sent once, by meshtest's own client of all protocols (loads/ask.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from meshtest.lib.stats import binomial_test
from meshtest.loads.ask import Ask, Reply, TlsAsk, ask
from tests.conformance import misses
from tests.conformance.cases import INFRA, MESH, PROTOCOLS, SAME, Case, load
from tests.conformance.foretold import surprises_of
from tests.conformance.ground import Ground

CORPUS = "gateway-api"
ERROR = 1e-6
SERVICE = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho"
METHODS = {"EchoRequest": "Echo", "EchoTwoRequest": "EchoTwo", "EchoThreeRequest": "EchoThree"}
UNIMPLEMENTED = 12
GRPC_GATEWAYS = {"grpcroute-listener-hostname-matching": f"{INFRA}/grpcroute-listener-hostname-matching/80"}
HTTPS = f"{INFRA}/same-namespace-with-https-listener/443"


def cases_of(ground: Ground, file: str) -> tuple[Case, ...]:
    return next(f.cases for f in load(ground.corpus) if f.name == file)


def send(ground: Ground, entrance: str, request: str, **more: Any) -> Reply:
    """Once; the answer must be one that was foretold, where requests are what is routed."""
    what = Ask.of(request, **more)
    reply = ask(ground.mesh.provider.entrance(entrance), what)
    if reply.answered and what.protocol in ("http1", "http2", "grpc") and (what.tls is None or _same_host(what)):
        assert list(surprises_of(ground.topology, entrance, what, reply)) == []
    return reply


def _same_host(what: Ask) -> bool:
    return what.tls is not None and what.tls.sni in ("", what.host)


def pod(reply: Reply) -> str:
    told = reply.json
    return str(told["pod"]).removeprefix(f"{told['namespace']}.")


def done(ground: Ground, file: str) -> None:
    """All cases of a file are among those that a test has asserted."""
    ground.score |= {case.name: [] for case in cases_of(ground, file)}


def judged(ground: Ground, results: dict[str, list[str]]) -> None:
    ground.score |= results
    misses.judge(CORPUS, results)


# -- gRPC


@pytest.mark.parametrize(
    "file",
    [
        "grpcroute-exact-method-matching", "grpcroute-header-matching", "grpcroute-listener-hostname-matching",
        "grpcroute-named-rule", "grpcroute-request-header-modifier",
    ],
)  # fmt: skip
def test_every_grpc_case_of_a_gateway_passes(ground: Ground, file: str) -> None:
    ground.bring(ground.documents(f"tests/{file}.yaml"))
    judged(ground, {c.name: list(_grpc_problems(ground, file, c)) for c in cases_of(ground, file)})


def _grpc_problems(ground: Ground, file: str, case: Case) -> Iterator[str]:
    """Upstream's compareResponse (conformance/utils/grpc)."""
    told = case.expected
    metadata = told.get("RequestMetadata") or {}
    method = next(f"{SERVICE}/{name}" for message, name in METHODS.items() if message in told)
    authority = metadata.get("Authority") or "203.0.113.1"
    entrance = GRPC_GATEWAYS.get(file, SAME)
    reply = send(ground, entrance, f"grpc://{authority}{method}", headers=metadata.get("Metadata") or {})
    wanted = UNIMPLEMENTED if (told.get("Response") or {}).get("Code") == "$codes.Unimplemented" else 0
    if reply.grpc_status != wanted:
        yield f"grpc-status {reply.grpc_status} ({reply.fate}: {reply.error}), expected {wanted}"
    elif not wanted:
        if reply.json["path"] != method:
            yield f"method {reply.json['path']}, expected {method}"
        if told.get("Namespace", "") not in ("", reply.json["namespace"]):
            yield f"namespace {reply.json['namespace']}, expected {told['Namespace']}"
        if not pod(reply).startswith(told.get("Backend", "")):
            yield f"pod {pod(reply)}, expected {told['Backend']}"


@pytest.mark.parametrize(
    ("manifest", "entrance", "url", "first"),
    [
        ("tests/grpcroute-weight.yaml", SAME, "grpc://203.0.113.1", "grpc-infra-backend-v1"),
        ("tests/mesh/grpcroute-weight.yaml", f"{MESH}/echo-v1", "grpc://echo:7070", "echo-v1"),
    ],
)
def test_seven_of_ten_calls_go_to_the_first_backend(
    ground: Ground, manifest: str, entrance: str, url: str, first: str
) -> None:
    ground.bring(ground.documents(manifest))
    sample = 300
    seen = sum(pod(send(ground, entrance, f"{url}{SERVICE}/Echo")).startswith(first) for _ in range(sample))
    assert binomial_test(seen, sample, 0.7) > ERROR, seen
    done(ground, manifest.removeprefix("tests/").removesuffix(".yaml"))


MESH_HEADERS: list[tuple[str, dict[str, str], dict[str, str], tuple[str, ...]]] = [
    ("set", {"some-other-header": "kept", "x-header-set": "lost"},
     {"some-other-header": "kept", "x-header-set": "set-overwrites-values"}, ()),
    ("add", {"x-header-add": "first"}, {"x-header-add": "first,add-appends-values"}, ()),
    ("remove", {"x-header-remove": "lost"}, {}, ("x-header-remove",)),
    ("multi", {"x-header-set-2": "lost", "x-header-add-2": "add-header-2", "x-header-remove-2": "lost"},
     {"x-header-set-1": "header-set-1", "x-header-set-2": "header-set-2", "x-header-add-1": "header-add-1",
      "x-header-add-2": "add-header-2,header-add-2"}, ("x-header-remove-1", "x-header-remove-2")),
]  # fmt: skip
"""mesh/grpcroute-request-header-modifier.go: x-test-case, headers sent, headers that arrive, and that must not."""


@pytest.mark.parametrize(("name", "sent", "arrive", "absent"), MESH_HEADERS)
def test_filters_edit_the_headers_of_calls_in_the_mesh(
    ground: Ground, name: str, sent: dict[str, str], arrive: dict[str, str], absent: tuple[str, ...]
) -> None:
    ground.bring(ground.documents("tests/mesh/grpcroute-request-header-modifier.yaml"))
    url = f"grpc://echo:7070{SERVICE}/Echo"
    reply = send(ground, f"{MESH}/echo-v1", url, headers={"x-test-case": name, **sent})
    assert reply.ok, reply
    got = {key: value.replace(", ", ",") for key, value in reply.json["headers"].items()}
    assert {key: got.get(key) for key in arrive} == arrive
    assert not set(absent) & got.keys()
    done(ground, "mesh/grpcroute-request-header-modifier")


# -- HTTPS at gateways


def https(ground: Ground, entrance: str, host: str, path: str = "/", *, sni: str = "", **more: Any) -> Reply:
    tls = TlsAsk(sni=sni or host, ca=ground.certificates.server, **more.pop("tls", {}))
    return send(ground, entrance, f"https://{host}{path}", tls=tls, **more)


def test_https_listeners_serve_their_hosts(ground: Ground) -> None:
    ground.bring(ground.documents("tests/httproute-https-listener.yaml"))
    wanted = {"example.org": "infra-backend-v1", "unknown-example.org": 404, "second-example.org": "infra-backend-v2"}
    seen: dict[str, Any] = {}
    for host in wanted:
        reply = https(ground, HTTPS, host)
        seen[host] = reply.json["service"] if reply.status == 200 else reply.status or reply.error
    assert seen == wanted
    done(ground, "httproute-https-listener")


MISDIRECTED = [
    ("example.org", "example.org", "infra-backend-v1"),
    ("example.org", "second-example.org", 421),
    ("example.org", "unknown-example.org", 404),
    ("second-example.org", "second-example.org", "infra-backend-v2"),
    ("second-example.org", "example.org", 421),
    ("second-example.org", "unknown-example.org", 421),
    ("third-example.wildcard.org", "third-example.wildcard.org", "infra-backend-v3"),
    ("third-example.wildcard.org", "fith-example.wildcard.org", "infra-backend-v3"),
    ("third-example.wildcard.org", "fourth-example.wildcard.org", 421),
    ("third-example.wildcard.org", "second-example.org", 421),
    ("third-example.wildcard.org", "unknown-example.org", 421),
    ("fourth-example.wildcard.org", "fourth-example.wildcard.org", "infra-backend-v1"),
    ("fourth-example.wildcard.org", "fith-example.wildcard.org", 421),
    ("unknown-example.org", "example.org", "infra-backend-v1"),
    ("unknown-example.org", "unknown-example.org", 404),
]
"""httproute-https-listener-detect-misdirected-requests.go: server name, Host, what comes back."""


def test_a_request_for_the_host_of_another_listener_is_misdirected(ground: Ground) -> None:
    ground.bring(ground.documents("tests/httproute-https-listener-detect-misdirected-requests.yaml"))
    results: dict[str, list[str]] = {}
    for sni, host, wanted in MISDIRECTED:
        reply = https(ground, HTTPS, host, "/detect-misdirected-requests", sni=sni, protocol="http2")
        got = reply.json["service"] if reply.status == 200 else reply.status or reply.error
        results[f"httproute-https-listener-detect-misdirected-requests {sni} {host}"] = (
            [] if got == wanted else [f"{got}, expected {wanted}"]
        )
    misses.judge(CORPUS, results)
    done(ground, "httproute-https-listener-detect-misdirected-requests")


def test_redirects_of_an_https_listener_keep_its_scheme_and_port(ground: Ground) -> None:
    ground.bring(ground.documents("tests/httproute-redirect-port-and-scheme.yaml"))
    results = {}
    for case in cases_of(ground, "httproute-redirect-port-and-scheme")[9:]:
        reply = https(ground, HTTPS, case.host, case.path)
        wanted = case.expected["RedirectRequest"]
        port = f":{wanted['Port']}" if wanted.get("Port") else ""
        location = f"{wanted['Scheme']}://{wanted['Host']}{port}{case.path}"
        same = (reply.status, reply.header("location")) == (302, location)
        results[case.name] = [] if same else [f"{reply.status} {reply.header('location')}, expected {location}"]
    judged(ground, results)


@pytest.mark.parametrize(
    ("file", "gateway", "without"),
    [
        ("gateway-with-clientcertificate-validation", "client-validation-default", False),
        ("gateway-with-clientcertificate-validation-insecure-fallback", "client-validation-insecure-fallback", True),
    ],
)
def test_clients_show_the_certificate_of_the_port(ground: Ground, file: str, gateway: str, without: bool) -> None:
    """`without`: those that have none are let in all the same."""
    ground.bring(ground.documents(f"tests/{file}.yaml"))
    made = ground.certificates
    for port, host, leaf, backend in (
        (443, "example.org", made.client, "infra-backend-v1"),
        (8443, "second-example.org", made.client_of_port, "infra-backend-v2"),
    ):
        entrance = f"{INFRA}/{gateway}/{port}"
        known = https(ground, entrance, host, tls={"certificate": leaf.certificate, "key": leaf.key})
        assert known.status == 200, known
        assert known.json["service"] == backend
        assert (https(ground, entrance, host).status == 200) is without
    done(ground, file)


def test_a_listener_whose_clients_cannot_be_checked_takes_nobody(ground: Ground) -> None:
    ground.bring(ground.documents("tests/gateway-invalid-default-frontend-client-certificate-validation.yaml"))
    gateway = f"{INFRA}/invalid-default-client-validation-config"
    assert send(ground, f"{gateway}/80", "http://example.org/").status == 200
    with pytest.raises(Exception, match="no gateway port 443"):
        https(ground, f"{gateway}/443", "example.org")
    done(ground, "gateway-invalid-default-frontend-client-certificate-validation")


# -- TLS to backends

BACKEND_TLS = {
    "backendtlspolicy": {
        "/backendtlspolicy": "abc.example.com", "/backendtlspolicy-host-mismatch": None,
        "/backendtlspolicy-cert-mismatch": None,
    },
    "backendtlspolicy-san": {
        "/backendtlspolicy-san-dns": "abc.example.com", "/backendtlspolicy-san-dns-mismatch": None,
        "/backendtlspolicy-san-uri": "abc.example.com", "/backendtlspolicy-san-uri-mismatch": None,
        "/backendtlspolicy-multiple-sans": "abc.example.com", "/backendtlspolicy-multiple-mismatch-sans": None,
    },
    "backendtlspolicy-conflict-resolution": {
        "/backendtlspolicy-conflicted-without-section-name": "other.example.com",
        "/backendtlspolicy-conflicted-with-section-name": "other.example.com",
        "/backendtlspolicy-not-conflicted-with-section-name": "other.example.com",
        "/backendtlspolicy-not-conflicted-without-section-name": "abc.example.com",
    },
    "backendtlspolicy-invalid-kind": {"/backendtlspolicy-invalid-kind": None},
    "backendtlspolicy-invalid-ca-certificate-ref": {
        "/backendtlspolicy-nonexistent-ca-certificate-ref": None,
        "/backendtlspolicy-malformed-ca-certificate-ref": None,
    },
}  # fmt: skip
"""By file: path, and the server name the backend must have seen; None where the request must fail with 5xx."""


@pytest.mark.parametrize("file", BACKEND_TLS)
def test_requests_reach_backends_by_tls_as_their_policies_say(ground: Ground, file: str) -> None:
    ground.bring(ground.documents(f"tests/{file}.yaml"))
    results: dict[str, list[str]] = {}
    for path, name in BACKEND_TLS[file].items():
        reply = send(ground, SAME, f"http://abc.example.com{path}")
        got = (reply.json.get("tls") or {}).get("sni") if reply.status == 200 else None
        fine = got == name if name else reply.status in (500, 502, 503)
        results[f"{file} {path}"] = [] if fine else [f"{reply.status}, server name {got}, expected {name or '5xx'}"]
    misses.judge(CORPUS, results)
    done(ground, file)


def test_requests_are_encrypted_again_behind_an_https_listener(ground: Ground) -> None:
    ground.bring(ground.documents("tests/backendtlspolicy.yaml"))
    reply = https(ground, HTTPS, "https-listener.org", "/backendtlspolicy")
    assert reply.status == 200, reply
    assert reply.json["tls"]["sni"] == "abc.example.com"


def test_calls_reach_grpc_backends_by_tls(ground: Ground) -> None:
    ground.bring(ground.documents("tests/backendtlspolicy-grpcroute.yaml"))
    results: dict[str, list[str]] = {}
    for index, (authority, method, well) in enumerate(
        [("abc.example.com", "Echo", True), ("abc.example.com", "EchoTwo", False),
         ("cert-mismatch.example.com", "Echo", False)]
    ):  # fmt: skip
        reply = send(ground, SAME, f"grpc://{authority}{SERVICE}/{method}")
        fine = reply.grpc_status == 0 if well else reply.grpc_status not in (None, 0)
        wrong = [f"grpc-status {reply.grpc_status}, {reply.error}"]
        results[f"backendtlspolicy-grpcroute#{index}"] = [] if fine else wrong
    judged(ground, results)


def test_a_gateway_shows_its_certificate_to_backends(ground: Ground) -> None:
    ground.bring(ground.documents("tests/gateway-tls-backend-client-certificate.yaml"))
    reply = send(ground, f"{INFRA}/gateway-tls-backend-client-certificate/80", "http://abc.example.com/")
    shown = (reply.json.get("tls") or {}).get("client") if reply.status == 200 else None
    judged(ground, {"gateway-tls-backend-client-certificate#0": [] if shown else [f"{reply.status}: {reply.body!r}"]})


# -- connections


TLS_ROUTES = [
    ("tlsroute-hostname-intersection", "gw-tlsroute-exact-hostname-x-1", "abc.example.com", "tls-backend"),
    ("tlsroute-hostname-intersection", "gw-tlsroute-exact-hostname-x-1", "non.matching.com", ""),
    *[
        ("tlsroute-hostname-intersection", f"gw-tlsroute-{gateway}", host, backend)
        for gateway in ("more-specific-wc-hostname-x-2", "less-specific-wc-hostname-x-3", "empty-hostname-x-4")
        for host, backend in (("abc.example.com", "tls-backend"), ("other.example.com", "tls-backend-2"),
                              ("non.matching.org", ""))
    ],
]  # fmt: skip


@pytest.mark.parametrize(("file", "gateway", "host", "backend"), TLS_ROUTES)
def test_tls_is_passed_on_by_server_name(ground: Ground, file: str, gateway: str, host: str, backend: str) -> None:
    ground.bring(ground.documents(f"tests/{file}.yaml"))
    reply = send(ground, f"{INFRA}/{gateway}/443", f"https://{host}/", tls=TlsAsk(sni=host))
    if backend:
        assert reply.status == 200, reply
        assert pod(reply).startswith(f"{backend}-0")
    else:
        assert not reply.answered
    done(ground, file)


@pytest.mark.parametrize(
    ("file", "gateway", "host", "inside"),
    [
        ("tlsroute-simple-same-namespace", "gateway-tlsroute", "abc.example.com", True),
        ("tlsroute-terminate-simple-same-namespace", "gateway-tlsroute-terminate", "tls.example.com", False),
        ("tlsroute-mixed-termination-same-namespace", "gateway-tlsroute-mixed-termination", "tls.example.com", False),
        ("tlsroute-mixed-termination-same-namespace", "gateway-tlsroute-mixed-termination", "abc.example.com", True),
        ("backendtlspolicy-tlsroute-terminate", "gateway-btls-tlsroute-terminate", "tls.example.com", True),
    ],
)
def test_tls_ends_at_the_gateway_or_at_the_backend(
    ground: Ground, file: str, gateway: str, host: str, inside: bool
) -> None:
    """`inside`: what arrives at the backend is TLS."""
    ground.bring(ground.documents(f"tests/{file}.yaml"))
    tls = TlsAsk(sni=host, ca=ground.certificates.backend_authority)
    reply = send(ground, f"{INFRA}/{gateway}", f"tls://{host}:443", tls=tls)
    assert reply.answered, reply
    assert pod(reply).startswith("tcp-backend")
    assert bool(reply.json["tls"]) is inside
    done(ground, file)


@pytest.mark.parametrize(
    ("file", "gateway", "backends"),
    [
        ("tcproute-parentref-port-and-section-name", "tcp-multi-listener-gateway",
         ("tcp-echo-one", "tcp-echo-two", "tcp-echo-three")),
        ("tcproute-parentref-attach-all", "tcp-attach-all-gateway", ("", "", "")),
        ("tcproute-reference-grant", "tcp-reference-grant-gateway", ("tcp-reference-grant-backend",)),
        ("tcproute-multiple-routes-attachment", "tcp-multi-route-attach-gateway", ("tcp-attach-backend-1",)),
    ],
)  # fmt: skip
def test_connections_go_by_port(ground: Ground, file: str, gateway: str, backends: tuple[str, ...]) -> None:
    topology = ground.bring(ground.documents(f"tests/{file}.yaml"))
    found = next(g for g in topology.gateways if g.name == gateway)
    assert len(found.doors) >= len(backends)
    for door, backend in zip(found.doors, backends, strict=False):
        reply = send(ground, f"{found.key}/{door.port}", f"tcp://x:{door.port}")
        assert reply.answered, reply
        assert pod(reply).startswith(backend), (door, pod(reply))
    done(ground, file)


def test_no_case_is_left_out_without_a_word(ground: Ground, corpora: Path) -> None:
    """The last test: it speaks for a run of the whole file only."""
    files = [f for f in load(corpora / CORPUS) if f.name.startswith(PROTOCOLS)]
    if not all(f"{f.name}#0" in ground.score for f in files):
        pytest.skip("only a part of the suite was asked for")
    left = {c.name for f in files for c in f.cases} - ground.score.keys()
    assert left <= misses.known(CORPUS).keys()
