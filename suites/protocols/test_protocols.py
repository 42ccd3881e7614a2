"""A rollout under everything but plain HTTP/1.1: gRPC, streams, WebSockets, TCP, HTTPS, client certificates."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import Mesh, RolloutFailed, no_downtime
from meshtest.loads.ask import TlsAsk
from meshtest.mesh.load import Load
from meshtest.model.request import Fate
from meshtest.testing.certificates import CertificateAuthority

HERE = Path(__file__).parent
CALLS = "grpc://chat:9000/chat.Room/Say"
STREAMS = "grpc://chat:9000/chat.Room/SayStream"
SOCKETS = "ws://chat/"
HELD = 4
"""Connections held open by each load."""
GOING_AWAY = 1
"""Close code 1001, as a record has it."""


@pytest.fixture
def authority(mesh: Mesh) -> CertificateAuthority:
    """The chat is up, and has a certificate."""
    made = CertificateAuthority()
    mesh.apply(text=made.secret("chat-cert", "chat.example.com"))
    mesh.apply(HERE / "chat.yaml")
    return made


pytestmark = pytest.mark.usefixtures("authority")


def test_a_grpc_canary_takes_over_without_a_lost_call(mesh: Mesh) -> None:
    chat = mesh["chat"]
    with mesh.load(CALLS, rps=200) as calls:
        for percent in (50, 100):
            with mesh.step(f"v2 at {percent}%"):
                chat.shift(v2=percent)
                calls.until(requests=150)
                assert calls.here.share("v2") == mesh.about(percent, error=1e-4)
        chat["v1"].terminate()
        calls.until(requests=20)
    assert {r.code for r in calls.requests} == {0}  # each call's own status: OK
    mesh.verify(no_downtime())


def test_connections_that_are_held_survive_a_shift(mesh: Mesh) -> None:
    loads = [
        mesh.load(SOCKETS, rps=60, connections=HELD),
        mesh.load(STREAMS, protocol="grpc_stream", rps=60, connections=HELD),
        mesh.load("tcp://chat:7000", rps=60, connections=HELD),
    ]
    for load in loads:
        load.start()
    for load in loads:
        load.until(requests=2 * HELD)
    mesh["chat"].shift(v2=100)
    for load in loads:
        load.until(requests=2 * HELD)
        load.stop()
    sockets, streams, _ = loads
    assert sockets.versions == streams.versions == {"v1"}  # they were opened before the shift
    assert mesh.load(SOCKETS, rps=100, requests=10).run().versions == {"v2"}
    mesh.verify(no_downtime())


def without_a_word(load: Load) -> list[str]:
    """Held connections that ended otherwise than by a close frame that says why."""
    return [f"message {r.index}: {r.fate.name}" for r in load.requests if not r.answered and r.code is None]


def roll(mesh: Mesh) -> Load:
    """v1 is taken away under WebSockets."""
    with mesh.load(SOCKETS, rps=80, connections=HELD) as sockets:
        sockets.until(requests=2 * HELD)
        mesh["chat"].shift(v2=100)
        mesh["chat"]["v1"].terminate()
        sockets.until(requests=4 * HELD)
    return sockets


def test_a_version_that_leaves_in_order_tells_its_websockets(mesh: Mesh) -> None:
    sockets = roll(mesh)
    assert without_a_word(sockets) == []
    gone = [r for r in sockets.requests if not r.answered]
    assert [(r.fate, r.code) for r in gone] == [(Fate.CLOSED, GOING_AWAY)] * HELD  # one message each, then all on v2
    assert {r.version for r in sockets.requests if r.at > gone[-1].at} == {"v2"}


def test_a_version_that_kills_its_websockets_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_abrupt_v1.yaml")
    sockets = roll(mesh)
    assert len(without_a_word(sockets)) >= HELD
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: \d+ of \d+ failed"):
        mesh.verify(no_downtime())


def test_a_version_that_cuts_its_calls_is_caught(mesh: Mesh) -> None:
    mesh.apply(HERE / "planted_abrupt_v1.yaml")
    with mesh.load(CALLS, rps=100) as calls:
        calls.until(requests=30)
        mesh["chat"].shift(v2=100)
        mesh["chat"]["v1"].terminate()
        calls.until(requests=10)
    with pytest.raises(RolloutFailed, match=r"FAIL: no_downtime: \d+ of \d+ failed"):
        mesh.verify(no_downtime())
    unavailable = 14
    assert {r.code for r in calls.requests} == {0, unavailable}


def test_https_at_the_edge_loses_nothing_in_a_shift(mesh: Mesh, authority: CertificateAuthority) -> None:
    tls = TlsAsk(ca=authority.root)
    users = mesh.load("GET https://chat.example.com/", tls=tls, rps=60)
    others = mesh.load("GET https://chat.example.com/", tls=tls, protocol="http2", rps=60)
    with users, others:
        for percent in (50, 100):
            mesh["chat"].shift(v2=percent)
            for load in (users, others):
                load.until(requests=30)
    assert users.versions == others.versions == {"v1", "v2"}
    mesh.verify(no_downtime())


def test_partners_show_a_certificate_and_nobody_else_gets_in(mesh: Mesh, authority: CertificateAuthority) -> None:
    card = authority.pair("partner")
    known = TlsAsk(ca=authority.root, certificate=card.certificate, key=card.key)
    url = "GET https://chat.example.com:8443/"
    partner = mesh.load(url, tls=known, rps=60, requests=20).run()
    stranger = mesh.load(url, tls=TlsAsk(ca=authority.root), rps=60, requests=20).run()
    assert {r.status for r in partner.requests} == {200}
    assert stranger.summary is not None
    assert stranger.summary.fates == {Fate.TLS: 20}
    assert any("certificate required" in why for why in stranger.summary.troubles)
