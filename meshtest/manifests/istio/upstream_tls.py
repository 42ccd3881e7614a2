"""ClientTLSSettings of a DestinationRule: TLS from callers to the endpoints.

Validation as in Istio's pkg/config/validation (validateTLS); meaning: pilot/pkg/networking/core/cluster_tls.go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, cast

from meshtest.manifests.istio import certificates
from meshtest.manifests.istio.certificates import Credentials
from meshtest.manifests.view import View
from meshtest.model.policy import TrafficPolicy, UpstreamTls

Mode = Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"]
MODES: tuple[Mode, ...] = ("DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL")
FILES = ("clientCertificate", "privateKey", "caCertificates")


def upstream_tls(view: View) -> UpstreamTls:
    mode = cast(Mode, view.choice("mode", MODES, "DISABLE"))
    names = view.strings("subjectAltNames")
    insecure, ca = bool(view.boolean("insecureSkipVerify")), _ca(view, mode)
    found = UpstreamTls(
        mode=mode,
        sni=view.string("sni"),
        subject_alt_names=names,
        ca=ca,
        # Istio verifies by the system's CA certificates where none are given (VERIFY_CERTIFICATE_AT_CLIENT).
        system_ca=mode in ("SIMPLE", "MUTUAL") and not ca and not insecure,
        credential=_credential(view) if mode == "MUTUAL" else "",
        insecure=insecure,
        source=view.source(),
    )
    _check(view, mode)
    return found


def _ca(view: View, mode: Mode) -> tuple[str, ...]:
    if mode not in ("SIMPLE", "MUTUAL"):
        return ()
    path, name = view.string("caCertificates"), view.string("credentialName")
    if name:
        return (certificates.secret(name, view.document.namespace),)
    return (certificates.files(path),) if path else ()


def _credential(view: View) -> str:
    name = view.string("credentialName")
    pair = view.string("clientCertificate"), view.string("privateKey")
    return certificates.secret(name, view.document.namespace) if name else certificates.files(*pair)


def _check(view: View, mode: Mode) -> None:
    name = view.string("credentialName")
    given = [key for key in FILES if view.string(key)]
    if name and given:
        view.error("bad-value", f"{view.name(given[0])} cannot stand beside credentialName", given[0])
    if mode == "MUTUAL" and not name:
        for key in FILES[:2]:
            if key not in given:
                view.error("missing-field", f"{view.name(key)} (or credentialName) is required with mode MUTUAL")
    if mode == "ISTIO_MUTUAL" and (given or name):
        key = given[0] if given else "credentialName"
        view.warn("bad-value", f"{view.name(key)} has no effect with mode ISTIO_MUTUAL", key)


def settled(policy: TrafficPolicy, credentials: Credentials, identities: tuple[str, ...]) -> TrafficPolicy:
    """The policy with the credentials that exist; `identities` are the service's own, for the mesh's mutual TLS."""
    tls = policy.tls
    if tls is None:
        return policy
    if tls.mode == "ISTIO_MUTUAL" and not tls.subject_alt_names and identities:
        return replace(policy, tls=replace(tls, subject_alt_names=identities))
    if not tls.ca and not tls.credential:
        return policy
    ca = credentials.settle(tls.ca, "ca", tls.source)
    own = credentials.settle(filter(None, [tls.credential]), "certificate", tls.source)
    return replace(policy, tls=replace(tls, ca=ca, credential=own[0] if own else ""))
