"""Listeners in force: those of a Gateway and of the ListenerSets it admits, without conflicts, with certificates.

By the spec of Gateway.listeners ("Distinct Listeners") and GEP-1713 (ListenerSets: the Gateway's own come first, then
the oldest set).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.gateway_api import kinds
from meshtest.manifests.gateway_api.gateway import GatewaySpec, ListenerSpec, Validation
from meshtest.manifests.gateway_api.references import Grants, ObjectRef
from meshtest.model.credential import Credential
from meshtest.model.route import Gateway, Server, ServerTls
from meshtest.model.service import Labels
from meshtest.model.status import Condition, Status

TERMINATED = ("HTTPS", "TLS")
TOGETHER = {"HTTP": "http", "HTTPS": "tls", "TLS": "tls", "TCP": "tcp"}
"""Protocols that can share a port: TLS tells them apart by server name."""


@dataclass
class Listener:
    """One listener, its server if it is in force, and what there is to say about it."""

    gateway: GatewaySpec
    owner: GatewaySpec
    """The Gateway, or the ListenerSet it stands in."""
    spec: ListenerSpec
    kinds: tuple[str, ...]
    """Of the routes it takes."""
    server: Server | None = None
    conditions: list[Condition] = field(default_factory=list)
    attached: int = 0

    @property
    def name(self) -> str:
        """Of the server: that of a ListenerSet's listener tells the set too."""
        if self.owner is self.gateway:
            return self.spec.name
        return f"{self.owner.key}/{self.spec.name}"

    @property
    def key(self) -> str:
        """As RouteTable.gateways has it."""
        return f"{self.gateway.key}/{self.name}"


class Listeners:
    """All listeners of all Gateways, by the object they stand in."""

    def __init__(
        self,
        gateways: Iterable[GatewaySpec],
        sets: Iterable[GatewaySpec],
        *,
        grants: Grants,
        credentials: Mapping[str, Credential],
        namespaces: Mapping[str, Labels],
    ) -> None:
        self.gateways = {gateway.key: gateway for gateway in gateways}
        self.namespaces = namespaces
        self._grants, self._credentials = grants, credentials
        self.of: dict[tuple[str, str], list[Listener]] = {}
        """By (`group/Kind`, key) of the Gateway or ListenerSet."""
        self.refused: list[tuple[GatewaySpec, Condition]] = []
        """ListenerSets that no Gateway takes."""
        admitted: dict[str, list[GatewaySpec]] = {}
        for one in sorted(sets, key=lambda s: (s.created, s.key)):
            if (why := self._refusal(one)) is None:
                assert one.parent is not None
                admitted.setdefault(one.parent.key, []).append(one)
            else:
                self.refused.append((one, why))
        for gateway in self.gateways.values():
            self._settle(gateway, admitted.get(gateway.key, []))

    def _refusal(self, one: GatewaySpec) -> Condition | None:
        assert one.parent is not None
        gateway = self.gateways.get(one.parent.key)
        if gateway is None or one.parent.kind != kinds.GATEWAY:
            return Condition("Accepted", False, "ParentNotFound", f"there is no {one.parent}")
        if not gateway.listener_sets.admit(one.namespace, gateway.namespace, self.namespaces):
            return Condition("Accepted", False, "NotAllowed", f"allowedListeners of {one.parent} leave it out")
        return None

    def _settle(self, gateway: GatewaySpec, sets: list[GatewaySpec]) -> None:
        taken: list[Listener] = []
        for owner in (gateway, *sets):
            mine = [self._listener(gateway, owner, spec) for spec in owner.listeners]
            for listener in mine:
                rivals = [other for other in mine if other is not listener and other.spec.protocol in TOGETHER]
                self._judge(listener, [*taken, *rivals])
            taken += [listener for listener in mine if listener.server is not None]
            self.of[owner.kind, owner.key] = mine

    def _listener(self, gateway: GatewaySpec, owner: GatewaySpec, spec: ListenerSpec) -> Listener:
        possible = kinds.ROUTES_OF_PROTOCOL.get(spec.protocol, ())
        return Listener(gateway, owner, spec, tuple(k for k in spec.kinds or possible if k in possible))

    # -- one listener

    def _judge(self, listener: Listener, others: Iterable[Listener]) -> None:
        """Its conditions; and its server, if all is well."""
        spec, conditions = listener.spec, listener.conditions
        if spec.protocol not in TOGETHER:
            text = f"protocol {spec.protocol!r}; supported: {', '.join(TOGETHER)}"
            conditions.append(Condition("Accepted", False, "UnsupportedProtocol", text))
        elif conflict := next((c for other in others if (c := _conflict(spec, other.spec))), None):
            conditions.append(Condition("Accepted", False, conflict.reason, conflict.message))
            conditions.append(conflict)
        else:
            conditions.append(Condition("Accepted", True, "Accepted"))
            conditions.append(Condition("Conflicted", False, "NoConflicts"))
        tls, problem = self._tls(listener)
        conditions.append(problem or Condition("ResolvedRefs", True, "ResolvedRefs"))
        usable = conditions[0].holds and (tls is not None or spec.protocol not in TERMINATED)
        if usable:
            listener.server = _server(listener, tls)
        programmed = Condition("Programmed", usable, "Programmed" if usable else "Invalid")
        conditions.append(programmed)

    def _tls(self, listener: Listener) -> tuple[ServerTls | None, Condition | None]:
        """Settings, None if none can be made; and what is wrong with the references."""
        spec = listener.spec
        problem = _kinds_problem(listener)
        if spec.protocol not in TERMINATED:
            return None, problem
        if spec.passthrough:
            return ServerTls(mode="PASSTHROUGH"), problem
        found = [self._find(listener.owner, ref, "InvalidCertificateRef") for ref in spec.certificates]
        certificates = tuple(key for key, _ in found if key)
        problem = next((why for _, why in found if why), problem)
        if not found:
            problem = _invalid("InvalidCertificateRef", "tls.certificateRefs is empty")
        validation = self._validation(listener)
        if not certificates or validation is None:
            return (ServerTls(certificates=certificates) if certificates else None), problem
        return self._with_clients(listener, validation, certificates, problem)

    def _validation(self, listener: Listener) -> Validation | None:
        """Of the Gateway, for the port or for all."""
        gateway, port = listener.gateway, listener.spec.port
        return dict(gateway.client_validation_of_port).get(port, gateway.client_validation)

    def _with_clients(
        self, listener: Listener, validation: Validation, certificates: tuple[str, ...], problem: Condition | None
    ) -> tuple[ServerTls | None, Condition | None]:
        found = [self._find(listener.gateway, ref, "InvalidCACertificateRef") for ref in validation.authorities]
        authorities = tuple(key for key, _ in found if key)
        problem = next((why for _, why in found if why), problem)
        if not authorities:
            return None, problem
        tls = ServerTls(mode="MUTUAL", certificates=certificates, client_ca=authorities)
        return (replace(tls, mode="OPTIONAL_MUTUAL") if validation.insecure_fallback else tls), problem

    def _find(self, owner: GatewaySpec, ref: ObjectRef, reason: str) -> tuple[str, Condition | None]:
        """The credential's key, or why there is none."""
        authority = reason == "InvalidCACertificateRef"
        if ref.kind not in ((kinds.CONFIG_MAP, kinds.SECRET) if authority else (kinds.SECRET,)):
            kind_reason = "InvalidCACertificateKind" if authority else reason
            return "", _invalid(kind_reason, f"{ref} is no {'ConfigMap' if authority else 'Secret'}")
        if not self._grants.allow(owner.kind, owner.namespace, ref):
            return "", _invalid("RefNotPermitted", f"no ReferenceGrant lets {owner.key} refer to {ref}")
        credential = self._credentials.get(credential_key(ref))
        if credential is None:
            return "", _invalid(reason, f"there is no {ref}")
        if not (credential.ca if authority else credential.certificate and credential.private_key):
            return "", _invalid(reason, f"{ref} holds no {'ca.crt' if authority else 'certificate with its key'}")
        return credential.key, None

    def client_certificate(self, gateway: GatewaySpec) -> str:
        """The credential it shows to backends, "" if there is none that is sound."""
        ref = gateway.client_certificate
        return self._find(gateway, ref, "InvalidClientCertificateRef")[0] if ref else ""

    # -- what providers and users are told

    def models(self) -> Iterator[Gateway]:
        """Gateways with the servers that are in force, each with an address of its own."""
        for gateway in self.gateways.values():
            everyone = (listener for group in self.of.values() for listener in group if listener.gateway is gateway)
            servers = tuple(listener.server for listener in everyone if listener.server is not None)
            yield Gateway(
                name=gateway.name,
                namespace=gateway.namespace,
                servers=servers,
                address=gateway.key,
                isolated=True,
                source=gateway.source,
            )

    def statuses(self) -> Iterator[Status]:
        for (kind, _), group in self.of.items():
            owner = group[0].owner if group else None
            if owner is None:
                continue
            sets = self._sets(owner) if kind == kinds.GATEWAY else None
            yield from _of_owner(owner, group, sets, self._resolved(owner))
        for one, why in self.refused:
            if why.reason != "ParentNotFound":
                conditions = (why, Condition("Programmed", False, "NotAllowed"))
                yield _status(one, conditions=conditions)

    def _resolved(self, owner: GatewaySpec) -> tuple[Condition, ...]:
        """A Gateway has references of its own only to the certificate that it shows to backends (GEP-3155)."""
        if owner.client_certificate is None:
            return ()
        _, why = self._find(owner, owner.client_certificate, "InvalidClientCertificateRef")
        return (why or Condition("ResolvedRefs", True, "ResolvedRefs"),)

    def _sets(self, gateway: GatewaySpec) -> int:
        """ListenerSets with a listener in force at this Gateway."""
        of_sets = [g for (kind, _), g in self.of.items() if kind != kinds.GATEWAY and g and g[0].gateway is gateway]
        return sum(any(listener.server for listener in group) for group in of_sets)


def credential_key(ref: ObjectRef) -> str:
    """As model.credential.Credential.key."""
    return ref.key if ref.kind == kinds.SECRET else f"{ref.kind.rpartition('/')[2]}/{ref.key}"


def _invalid(reason: str, message: str) -> Condition:
    return Condition("ResolvedRefs", False, reason, message)


def _kinds_problem(listener: Listener) -> Condition | None:
    wrong = [kind for kind in listener.spec.kinds if kind not in listener.kinds]
    if not wrong:
        return None
    return _invalid("InvalidRouteKinds", f"{listener.spec.protocol} listeners take no {', '.join(wrong)}")


def _conflict(one: ListenerSpec, other: ListenerSpec) -> Condition | None:
    if one.port != other.port:
        return None
    if TOGETHER[one.protocol] != TOGETHER[other.protocol]:
        text = f"port {one.port} is {other.protocol} for listener {other.name!r}"
        return Condition("Conflicted", True, "ProtocolConflict", text)
    if one.hostname == other.hostname or one.protocol == "TCP":
        text = f"listener {other.name!r} has port {one.port} and the same hostname"
        return Condition("Conflicted", True, "HostnameConflict", text)
    return None


def _server(listener: Listener, tls: ServerTls | None) -> Server:
    spec = listener.spec
    return Server(
        port=spec.port,
        protocol=spec.protocol,
        name=listener.name,
        hosts=(spec.hostname or "*",),
        tls=tls,
        source=spec.source,
    )


def _of_owner(
    owner: GatewaySpec, group: list[Listener], sets: int | None, resolved: tuple[Condition, ...]
) -> Iterator[Status]:
    sound = all(listener.server is not None for listener in group)
    some = any(listener.server is not None for listener in group)
    reason = "Accepted" if sound else "ListenersNotValid"
    conditions = (
        Condition("Accepted", some, reason),
        Condition("Programmed", some, "Programmed" if some else "Invalid"),
        *resolved,
    )
    yield _status(owner, conditions=conditions, attached=sets)
    for listener in group:
        part = f"listener {listener.spec.name}"
        yield _status(owner, part=part, conditions=tuple(listener.conditions), attached=listener.attached)


def _status(
    owner: GatewaySpec, *, conditions: tuple[Condition, ...], part: str = "", attached: int | None = None
) -> Status:
    return Status(
        kind=owner.kind, namespace=owner.namespace, name=owner.name,
        part=part, conditions=conditions, attached=attached, source=owner.source,
    )  # fmt: skip
