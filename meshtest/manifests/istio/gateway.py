"""Gateway: its servers, which of them speak TLS, and on whose ports they are.

Not here: whether credentials exist (certificates.py), which requests they admit (manifests/hosts.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, cast, get_args

from meshtest.manifests.istio import certificates
from meshtest.manifests.istio.certificates import Credentials
from meshtest.manifests.istio.gateway_fields import GATEWAY
from meshtest.manifests.memo import per_document
from meshtest.manifests.view import View, metadata
from meshtest.model.diagnostic import Diagnostic
from meshtest.model.document import Document
from meshtest.model.route import Gateway, Server, ServerTls
from meshtest.model.service import Labels

PLAIN = ("HTTP", "HTTP2", "GRPC")
ENCRYPTED = ("HTTPS", "TLS")
STREAMS = ("TCP", "MONGO")
OTHERS = (*ENCRYPTED, *STREAMS)

Mode = Literal["SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "PASSTHROUGH", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL"]
MODES: tuple[Mode, ...] = get_args(Mode)
PASSING = ("PASSTHROUGH", "AUTO_PASSTHROUGH")
OF_THE_MESH = "ISTIO_MUTUAL"
CHECKING = ("MUTUAL", "OPTIONAL_MUTUAL")
"""Modes that ask clients for a certificate."""
VERSIONS = ("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")

INGRESS = frozenset({"ingressgateway", "istio-ingressgateway", "ingress", "istio-ingress"})
"""Values of selectors that mean the ingress, as Istio's installers label it."""


@per_document
def gateway(document: Document, notes: list[Diagnostic]) -> Gateway | None:
    view = View.of(document, GATEWAY, notes)
    metadata(view)
    spec = view.child("spec")
    if spec is None:
        view.require("spec")
        return None
    selector = spec.string_map("selector")
    return Gateway(
        name=document.name,
        namespace=document.namespace,
        servers=tuple(_servers(spec)),
        address=address(selector),
        selector=selector,
        source=document.where(),
    )


def address(selector: Labels) -> str:
    """Whose ports they are: Gateways that select the same pods share them (Istio merges by workload).

    "" is the ingress, which also takes Gateways that select everything; others are known by their labels.
    """
    if not selector or INGRESS.intersection(selector.values()):
        return ""
    return ",".join(f"{name}={value}" for name, value in sorted(selector.items()))


def settled(found: Gateway, credentials: Credentials) -> Gateway:
    """The gateway with the credentials that exist."""
    return replace(found, servers=tuple(_settled(server, credentials) for server in found.servers))


def _settled(server: Server, credentials: Credentials) -> Server:
    tls = server.tls
    if tls is None or not (tls.certificates or tls.client_ca):
        return server
    own = credentials.settle(tls.certificates, "certificate", server.source)
    return replace(
        server,
        tls=replace(tls, certificates=own, client_ca=credentials.settle(tls.client_ca, "ca", server.source)),
    )


def _servers(spec: View) -> Iterator[Server]:
    seen: dict[str, View] = {}
    for view in spec.children("servers"):
        port, tls = view.child("port"), view.child("tls")
        if port is None or not port.require("number") or not port.require("protocol"):
            view.require("port")
            continue
        number, protocol = port.port("number"), port.string("protocol").upper()
        if protocol not in (*PLAIN, *OTHERS):
            port.choice("protocol", (*PLAIN, *OTHERS), "HTTP")
        elif number is not None and view.require("hosts"):
            yield _server(view, port, tls, number, protocol)
            if (name := port.string("name")) and name in seen:
                text = f"{port.name('name')}: `{name}` is the name of another server ({seen[name].source()})"
                port.error("duplicate-name", f"{text}; they must differ", "name")
            seen[name] = port


def _server(view: View, port: View, tls: View | None, number: int, protocol: str) -> Server:
    redirect = bool(tls and tls.boolean("httpsRedirect"))
    if redirect and tls and protocol not in PLAIN:
        tls.warn("bad-value", f"{tls.name('httpsRedirect')} counts on plain HTTP servers only", "httpsRedirect")
    if tls is None and protocol in ENCRYPTED:
        view.error("missing-field", f"{view.name('tls')} is required: the server speaks {protocol}")
    return Server(
        port=number,
        protocol=protocol,
        name=view.string("name") or port.string("name"),
        hosts=tuple(_hosts(view)),
        # Plain servers have settings for httpsRedirect only (Istio ignores the others).
        tls=_tls(tls) if tls is not None and protocol not in PLAIN else None,
        https_redirect=redirect and protocol in PLAIN,
        source=view.source(),
    )


def _hosts(view: View) -> Iterator[str]:
    """`./host` is scoped to the gateway's own namespace."""
    for host in view.strings("hosts"):
        yield f"{view.document.namespace}/{host[2:]}" if host.startswith("./") else host


def _tls(view: View) -> ServerTls:
    # Istio's zero value: PASSTHROUGH.
    mode = cast(Mode, view.choice("mode", MODES, "PASSTHROUGH"))
    least = view.choice("minProtocolVersion", VERSIONS, "TLS_AUTO")
    most = view.choice("maxProtocolVersion", VERSIONS, "TLS_AUTO")
    found = ServerTls(
        mode=mode,
        certificates=_certificates(view),
        client_ca=_client_ca(view) if mode in CHECKING else (),
        subject_alt_names=view.strings("subjectAltNames"),
        min_version="" if least == "TLS_AUTO" else least,
        max_version="" if most == "TLS_AUTO" else most,
        cipher_suites=view.strings("cipherSuites"),
    )
    _check(view, found)
    return found


def _certificates(view: View) -> tuple[str, ...]:
    """credentialNames, else credentialName, else files (Istio's order)."""
    namespace = view.document.namespace
    several, one = view.strings("credentialNames"), view.string("credentialName")
    own, listed = _pair(view), [_pair(below) for below in view.children("tlsCertificates")]
    pairs, wanted = listed or [own], several or tuple(filter(None, [one]))
    if wanted:
        return tuple(certificates.secret(name, namespace) for name in wanted)
    return tuple(filter(None, (certificates.files(*pair) for pair in pairs)))


def _pair(view: View) -> tuple[str, str]:
    return view.string("serverCertificate"), view.string("privateKey")


def _client_ca(view: View) -> tuple[str, ...]:
    """A CA of its own, else the one in (or beside) the server's Secret, else files."""
    namespace = view.document.namespace
    given = (view.string("caCertCredentialName"), view.string("credentialName"), *view.strings("credentialNames"))
    name, path = next(filter(None, given), ""), view.string("caCertificates")
    found = certificates.secret(name, namespace) if name else certificates.files(path)
    return (found,) if found else ()


def _check(view: View, found: ServerTls) -> None:
    """Istio's validateTLSOptions."""
    names = ("credentialName", "credentialNames", "serverCertificate", "privateKey", "tlsCertificates")
    given = [name for name in names if view.data.get(name)]
    if found.mode in (*PASSING, OF_THE_MESH):
        if given:
            text = f"{view.name(given[0])} has no effect with mode {found.mode}"
            view.warn("bad-value", text, given[0])
        return
    if not found.certificates:
        view.error("missing-field", f"{view.name()} needs credentialName: mode {found.mode} shows a certificate")
    if "credentialName" not in given and "credentialNames" not in given and "tlsCertificates" not in given:
        for name in ("serverCertificate", "privateKey"):
            if given and name not in given:
                view.error("missing-field", f"{view.name(name)} is required beside {view.name(given[0])}")
    if found.mode in CHECKING and not found.client_ca:
        text = f"{view.name()} needs caCertificates or credentialName: mode {found.mode} checks clients' certificates"
        view.error("missing-field", text)
