"""Certificates and keys, as Secrets and ConfigMaps of Kubernetes carry them."""

from __future__ import annotations

from dataclasses import field

from meshtest.lib.dataclass import dataclass
from meshtest.model.diagnostic import NOWHERE, Source


@dataclass(frozen=True, kw_only=True)
class Credential:
    """PEM texts; "" for what the object does not hold. `kubernetes.io/tls` has certificate and key."""

    name: str
    namespace: str
    certificate: str = ""
    """Chain, the leaf first."""
    private_key: str = field(default="", repr=False)
    ca: str = ""
    crl: str = ""
    kind: str = "Secret"
    source: Source = field(default=NOWHERE, compare=False)

    @property
    def key(self) -> str:
        """`namespace/name`; a ConfigMap's has the kind before it, for a Secret may have the same name."""
        own = f"{self.namespace}/{self.name}"
        return own if self.kind == "Secret" else f"{self.kind}/{own}"
