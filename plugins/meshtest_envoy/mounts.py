"""Credentials that pods mount, as files: what a stand-in speaks TLS with.

The first Secret among a pod's volumes that has a certificate with its key is the server's, the first with CA
certificates says which clients may show one of theirs. A changed Secret replaces the files, as in a cluster, and the
stand-in reads them with its next connection. Not here: what a Secret means (manifests/), Envoy's own certificates.
"""

from __future__ import annotations

import os
from pathlib import Path

from meshtest.model.credential import Credential
from meshtest.model.service import Workload
from meshtest.model.topology import Topology
from meshtest_envoy.pods.spec import PodTls


class Mounts:
    """Files of all credentials that some workload mounts, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._written: dict[str, Credential] = {}

    def tls_of(self, workload: Workload) -> PodTls | None:
        """What a stand-in of this workload is given; None if it mounts no certificate. After refresh()."""
        known = [self._written[key] for key in workload.mounts if key in self._written]
        server = next((c for c in known if c.certificate and c.private_key), None)
        if server is None:
            return None
        ca = next((c for c in known if c.ca), None)
        return PodTls(
            certificate=str(self._path(server, "crt")),
            key=str(self._path(server, "key")),
            client_ca=str(self._path(ca, "ca")) if ca else "",
        )

    def refresh(self, topology: Topology) -> None:
        """Write what is new or has changed; a credential that is gone keeps its files while pods use them."""
        for key in {key for workload in topology.workloads for key in workload.mounts}:
            credential = topology.credentials.get(key)
            if credential is not None and self._written.get(key) != credential:
                self._write(credential)
                self._written[key] = credential

    def _write(self, credential: Credential) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        texts = {"crt": credential.certificate, "key": credential.private_key, "ca": credential.ca}
        for part, text in texts.items():
            if text:
                path = self._path(credential, part)
                new = path.with_suffix(".new")
                new.touch(mode=0o600)
                new.write_text(text)
                os.replace(new, path)

    def _path(self, credential: Credential, part: str) -> Path:
        return self._folder / f"{credential.key.replace('/', '.')}.{part}"
