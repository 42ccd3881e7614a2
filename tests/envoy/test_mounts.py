"""Which credentials a pod's stand-in is given, and what is on disk of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from meshtest_envoy.mounts import Mounts

from meshtest.model.credential import Credential
from meshtest.model.service import Container, Workload
from meshtest.model.topology import Topology

SERVER = Credential(name="server", namespace="default", certificate="CRT", private_key="KEY")
CLIENTS = Credential(name="clients", namespace="default", ca="CA", kind="ConfigMap")


def workload(*mounts: str) -> Workload:
    return Workload(name="web", labels={}, containers=(Container(name="web", image="web"),), mounts=mounts)


def topology(*credentials: Credential, mounts: tuple[str, ...] = (SERVER.key, CLIENTS.key)) -> Topology:
    return Topology(workloads=(workload(*mounts),), credentials={c.key: c for c in credentials})


def test_the_first_certificate_with_its_key_serves_and_the_first_ca_checks_clients(tmp_path: Path) -> None:
    mounts = Mounts(tmp_path / "mounts")
    mounts.refresh(topology(CLIENTS, SERVER))
    tls = mounts.tls_of(workload(CLIENTS.key, SERVER.key))
    assert tls is not None
    assert [Path(path).read_text() for path in (tls.certificate, tls.key, tls.client_ca)] == ["CRT", "KEY", "CA"]
    assert Path(tls.key).stat().st_mode & 0o077 == 0


def test_without_a_certificate_there_is_no_tls(tmp_path: Path) -> None:
    mounts = Mounts(tmp_path / "mounts")
    mounts.refresh(topology(CLIENTS))
    assert mounts.tls_of(workload(CLIENTS.key, SERVER.key)) is None
    assert mounts.tls_of(workload()) is None


def test_what_nobody_mounts_is_not_written(tmp_path: Path) -> None:
    Mounts(tmp_path / "mounts").refresh(topology(SERVER, mounts=()))
    assert not (tmp_path / "mounts").exists()


def test_a_changed_secret_replaces_the_files_where_they_are(tmp_path: Path) -> None:
    mounts = Mounts(tmp_path / "mounts")
    mounts.refresh(topology(SERVER))
    before = mounts.tls_of(workload(SERVER.key))
    mounts.refresh(topology(replace(SERVER, certificate="NEW")))
    assert mounts.tls_of(workload(SERVER.key)) == before
    assert before is not None
    assert Path(before.certificate).read_text() == "NEW"
