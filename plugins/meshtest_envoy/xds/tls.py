"""TLS as Envoy's transport sockets, and the secrets (SDS) that they name.

A transport socket never holds a certificate, only the name of a secret: so a rotation replaces secrets and touches no
listener and no cluster, and no connection ends.

    certificate:NS/NAME      certificate and key of a credential
    authorities:NS/A+NS/B    CA certificates of credentials, together
    spiffe://...             an identity of the mesh
    ROOTCA                   the root of all of these (Istio's name)
    system                   the CA certificates of this machine
    nobody                   an authority that has signed nothing
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from meshtest.errors import ConfigRejected
from meshtest.model.credential import Credential
from meshtest.model.policy import UpstreamTls
from meshtest.model.route import ServerTls
from meshtest_envoy.pki import Authority
from meshtest_envoy.xds.names import TYPE_URL
from meshtest_envoy.xds.resources import ADS, Json

Credentials = Mapping[str, Credential]

TLS = "envoy.extensions.transport_sockets.tls.v3."
CERTIFICATE, AUTHORITIES, ROOT, SYSTEM, NOBODY = "certificate:", "authorities:", "ROOTCA", "system", "nobody"

MESH_ALPN = "istio"
"""What the mesh's own TLS offers, so that a PERMISSIVE listener can tell it from TLS of the application (Istio)."""

SYSTEM_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")

HTTP_ALPN = ("h2", "http/1.1")
"""What a gateway offers to browsers."""


# -- servers


def server(tls: ServerTls, credentials: Credentials, *, identity: str, alpn: Sequence[str] = ()) -> Json | None:
    """The socket of a gateway's server; None without any certificate to show. `identity` is for ISTIO_MUTUAL."""
    if tls.mode == "ISTIO_MUTUAL":
        return mesh_server(identity)
    known = [key for key in tls.certificates if key in credentials and credentials[key].private_key]
    common: Json = {
        "tls_certificate_sds_secret_configs": [sds(CERTIFICATE + key) for key in known],
        "tls_params": parameters(tls),
    }
    if alpn:
        common["alpn_protocols"] = list(alpn)
    if tls.mode in ("MUTUAL", "OPTIONAL_MUTUAL") and (authorities := client_authorities(tls, credentials)):
        common |= validation(AUTHORITIES + "+".join(authorities), tls.subject_alt_names)
    elif tls.mode == "MUTUAL":
        return None
    return downstream(common, client=tls.mode == "MUTUAL") if known else None


def client_authorities(tls: ServerTls, credentials: Credentials) -> tuple[str, ...]:
    """Whom clients must be signed by: as told, else Istio's convention, the Secret NAME-cacert, or NAME itself."""
    if tls.client_ca:
        return tuple(key for key in tls.client_ca if key in credentials and credentials[key].ca)
    by_convention = (key for name in tls.certificates for key in (f"{name}-cacert", name))
    return tuple(key for key in by_convention if key in credentials and credentials[key].ca)[:1]


def parameters(tls: ServerTls) -> Json:
    """Istio's least version at gateways is 1.2."""
    result: Json = {"tls_minimum_protocol_version": version(tls.min_version or "TLSV1_2")}
    if tls.max_version:
        result["tls_maximum_protocol_version"] = version(tls.max_version)
    if tls.cipher_suites:
        result["cipher_suites"] = list(tls.cipher_suites)
    return result


def version(text: str) -> str:
    """`TLSV1_2` is how Istio spells Envoy's TLSv1_2."""
    return text.replace("TLSV", "TLSv")


def mesh_server(identity: str) -> Json:
    """An inbound proxy: shows who it is, and asks the caller."""
    return downstream(mesh_identity(identity), client=True)


def downstream(common: Json, *, client: bool) -> Json:
    context = {"require_client_certificate": client, "common_tls_context": common}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed("DownstreamTlsContext", context)}


# -- clients


def client(tls: UpstreamTls, credentials: Credentials, *, http2: bool) -> Json:
    """The socket of a cluster with TLS SIMPLE or MUTUAL to its endpoints (Istio: cluster_tls.go).

    What it needs and nobody has lets every handshake fail, so requests get 503, as on Istio, whose proxies wait for
    the secret for ever: never plain text, never a server that is not verified.
    """
    common: Json = {"alpn_protocols": ["h2"]} if http2 else {}
    if trust := trusts(tls, credentials):
        common |= validation(trust, tls.subject_alt_names)
    if tls.mode == "MUTUAL" and trust != NOBODY:
        common["tls_certificate_sds_secret_configs"] = [sds(CERTIFICATE + tls.credential)]
    return upstream(common, tls.sni)


def trusts(tls: UpstreamTls, credentials: Credentials) -> str:
    """The secret with the authorities that the server must be signed by; "" when it is not verified."""
    if tls.mode == "MUTUAL" and not pair_of(tls.credential, credentials):
        return NOBODY
    if tls.insecure:
        return ""
    known = [key for key in tls.ca if key in credentials and credentials[key].ca]
    if tls.ca and not known:
        return NOBODY
    return AUTHORITIES + "+".join(known) if known else SYSTEM


def pair_of(key: str, credentials: Credentials) -> bool:
    """There are a certificate and its key to show."""
    found = credentials.get(key)
    return found is not None and bool(found.certificate and found.private_key)


def upstream(common: Json, sni: str) -> Json:
    context = {"common_tls_context": common, **({"sni": sni} if sni else {})}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed("UpstreamTlsContext", context)}


def by_caller(identities: Iterable[str], servers: Sequence[str], sni: str, *, always: bool) -> Json:
    """Fields of a cluster whose callers each show their own identity, though they share the cluster.

    The outbound listener says who calls (listeners.identity_state); Envoy then picks the socket of that name, and keeps
    connections of different callers apart. `always`: to every endpoint, else to those whose metadata says that they
    speak the mesh's TLS. A caller without an identity speaks plain text.
    """
    names = sorted(identities)
    own = exact("FilterStateInput", {"key": IDENTITY}, {name: pick(name) for name in names})
    if always:
        matcher = {**own, "on_no_match": pick(PLAIN)}
    else:
        path = {"filter": "istio", "path": [{"key": "tlsMode"}]}
        nested = {"matcher": {**own, "on_no_match": pick(PLAIN)}}
        matcher = {**exact("EndpointMetadataInput", path, {"istio": nested}), "on_no_match": pick(PLAIN)}
    sockets = [{"name": name, "transport_socket": mesh_client(name, servers, sni)} for name in names]
    return {"transport_socket_matches": [*sockets, PLAIN_SOCKET], "transport_socket_matcher": matcher}


def mesh_client(identity: str, servers: Sequence[str], sni: str) -> Json:
    return upstream({**mesh_identity(identity, servers), "alpn_protocols": [MESH_ALPN]}, sni)


IDENTITY = "meshtest.identity"
"""Filter state of a connection to an outbound listener: the caller's SPIFFE identity."""

PLAIN = "plaintext"
RAW = {
    "name": "envoy.transport_sockets.raw_buffer",
    "typed_config": {"@type": TYPE_URL + "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"},
}
PLAIN_SOCKET = {"name": PLAIN, "transport_socket": RAW}
INPUTS = TYPE_URL + "envoy.extensions.matching.common_inputs.transport_socket.v3."


def exact(message: str, config: Json, outcomes: Json) -> Json:
    source = {"name": message, "typed_config": {"@type": INPUTS + message, **config}}
    return {"matcher_tree": {"input": source, "exact_match_map": {"map": outcomes}}}


def pick(name: str) -> Json:
    return {"action": {"name": name, "typed_config": {"@type": INPUTS + "TransportSocketNameAction", "name": name}}}


# -- parts


def mesh_identity(identity: str, others: Sequence[str] = ()) -> Json:
    return {"tls_certificate_sds_secret_configs": [sds(identity)], **validation(ROOT, others)}


def validation(secret: str, names: Sequence[str] = ()) -> Json:
    """Trust what the secret has signed, and of that only certificates with one of the names, if there are any."""
    wanted = {"match_typed_subject_alt_names": [san(name) for name in names]} if names else {}
    return {
        "combined_validation_context": {
            "default_validation_context": wanted,
            "validation_context_sds_secret_config": sds(secret),
        }
    }


def san(name: str) -> Json:
    return {"san_type": san_type(name), "matcher": {"exact": name}}


def san_type(name: str) -> str:
    if "://" in name:
        return "URI"
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "EMAIL" if "@" in name else "DNS"
    return "IP_ADDRESS"


def sds(name: str) -> Json:
    return {"name": name, "sds_config": ADS}


def typed(message: str, fields: Json) -> Json:
    return {"@type": f"{TYPE_URL}{TLS}{message}", **fields}


# -- secrets


def secret(name: str, credentials: Credentials, authority: Authority) -> Json:
    """The resource of a secret by its name."""
    if name == ROOT:
        body = trusted(authority.root)
    elif name == SYSTEM:
        body = {"validation_context": {"trusted_ca": {"filename": system_authorities()}}}
    elif name == NOBODY:
        body = trusted(nobody())
    elif name.startswith(AUTHORITIES):
        chosen = [credentials[key] for key in name.removeprefix(AUTHORITIES).split("+")]
        body = trusted("\n".join(c.ca for c in chosen), "\n".join(c.crl for c in chosen if c.crl))
    elif name.startswith(CERTIFICATE):
        chosen_one = credentials[name.removeprefix(CERTIFICATE)]
        body = key_pair(chosen_one.certificate, chosen_one.private_key)
    else:
        issued = authority.of(name)
        body = key_pair(issued.certificate, issued.private_key)
    return {"@type": f"{TYPE_URL}{TLS}Secret", "name": name, **body}


@cache
def nobody() -> str:
    """The certificate of an authority whose key is gone."""
    return Authority().root


def trusted(ca: str, crl: str = "") -> Json:
    revoked = {"crl": {"inline_string": crl}} if crl else {}
    return {"validation_context": {"trusted_ca": {"inline_string": ca}, **revoked}}


def key_pair(certificate: str, private_key: str) -> Json:
    chain, key = {"inline_string": certificate}, {"inline_string": private_key}
    return {"tls_certificate": {"certificate_chain": chain, "private_key": key}}


def system_authorities() -> str:
    """The file with the CA certificates that this machine trusts."""
    told = ssl.get_default_verify_paths().cafile
    for path in (*([told] if told else []), *SYSTEM_FILES):
        if Path(path).is_file():
            return path
    raise ConfigRejected(
        "this machine has no file of CA certificates; name one with a Secret, or install ca-certificates"
    )


def secrets_of(clusters: Iterable[Json], listeners: Iterable[Json]) -> set[str]:
    """Names of all secrets that clusters and listeners refer to."""
    found: set[str] = set()
    for resource in clusters:
        for match in resource.get("transport_socket_matches", ()):
            found.update(_named(match["transport_socket"]))
        found.update(_named(resource.get("transport_socket")))
    for resource in listeners:
        for chain in resource["filter_chains"]:
            found.update(_named(chain.get("transport_socket")))
    return found


def _named(socket: Json | None) -> Iterator[str]:
    if socket and (inner := socket["typed_config"].get("transport_socket")):  # TLS after a PROXY header
        yield from _named(inner)
    common = socket["typed_config"].get("common_tls_context", {}) if socket else {}
    yield from (config["name"] for config in common.get("tls_certificate_sds_secret_configs", ()))
    if combined := common.get("combined_validation_context"):
        yield combined["validation_context_sds_secret_config"]["name"]
