"""Denied paths, tokens, limits, identities: what is guarded stays guarded, under load and through every change."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from meshtest import Mesh, no_downtime
from meshtest.mesh.load import Load
from meshtest.testing.tokens import Issuer, key_set

HERE = Path(__file__).parent
WEB = "http://web/"
SHOP = "http://shop.example.com/"

pytestmark = pytest.mark.mesh_apply("shop.yaml")


def answered(load: Load, status: int) -> None:
    """Every request was answered so."""
    seen = Counter(r.status for r in load.requests)
    wrong = ", ".join(f"{count} with {other}" for other, count in seen.items() if other != status)
    if wrong:
        raise AssertionError(f"{seen.total()} requests should be answered {status}, but {wrong} ({load.name})")


def ask(mesh: Mesh, request: str, headers: dict[str, str] | None = None, requests: int = 30) -> Load:
    return mesh.load(request, headers=headers or {}, rps=500, requests=requests).run()


def with_keys(file: str, *issuers: Issuer) -> str:
    return (HERE / file).read_text().replace("PUBLIC_KEYS", key_set(*issuers))


# -- denied paths and methods


@pytest.mark.mesh_apply("denied.yaml")
def test_what_is_denied_is_denied_and_nothing_else(mesh: Mesh) -> None:
    answered(ask(mesh, f"POST {WEB}admin/users"), 403)
    answered(ask(mesh, f"DELETE {WEB}admin"), 403)
    answered(ask(mesh, f"GET {WEB}admin/users"), 200)
    answered(ask(mesh, f"POST {WEB}administrators"), 200)
    answered(ask(mesh, f"GET {SHOP}internal/metrics"), 403)  # by the gateway
    answered(ask(mesh, f"GET {WEB}internal/metrics"), 200)  # inside the mesh
    mesh.verify(no_downtime())


def test_a_policy_comes_into_force_for_open_connections_without_a_lost_request(mesh: Mesh) -> None:
    with (
        mesh.load(f"POST {WEB}admin/users", rps=200, lanes=("keepalive",)) as denied,
        mesh.load(f"GET {WEB}", rps=200) as users,
    ):
        denied.until(requests=50)
        answered(denied, 200)
        with mesh.step("policy"):
            mesh.apply(HERE / "denied.yaml")
            denied.until(requests=100)
            assert {r.status for r in denied.here.requests} == {403}
    answered(users, 200)
    mesh.verify(no_downtime())


@pytest.mark.mesh_apply("planted_wrong_label.yaml")
def test_a_policy_that_selects_the_wrong_label_is_caught(mesh: Mesh) -> None:
    with pytest.raises(AssertionError, match=r"should be answered 403, but 30 with 200"):
        answered(ask(mesh, f"POST {WEB}admin/users"), 403)
    warned = [str(d) for d in mesh.diagnostics if d.code == "selects-nothing"]
    assert warned  # and by reading alone, before anything is sent
    assert "did you mean app=web?" in warned[0]


# -- tokens


def test_a_request_needs_a_good_token_and_for_some_things_a_claim(mesh: Mesh) -> None:
    issuer, stranger = Issuer(), Issuer()
    mesh.apply(text=with_keys("token.yaml", issuer))
    answered(ask(mesh, f"GET {WEB}", issuer.headers()), 200)
    answered(ask(mesh, f"GET {WEB}"), 403)  # none: for the AuthorizationPolicy to refuse
    answered(ask(mesh, f"GET {WEB}", stranger.headers()), 401)  # signed by somebody else
    answered(ask(mesh, f"GET {WEB}", issuer.headers(valid=-300)), 401)  # run out
    answered(ask(mesh, f"GET {WEB}", issuer.headers(aud="bank")), 403)  # for somebody else
    answered(ask(mesh, f"GET {WEB}orders", issuer.headers()), 403)
    answered(ask(mesh, f"GET {WEB}orders", issuer.headers(groups=["buyers", "staff"])), 200)


def test_keys_are_rotated_under_load_without_a_refused_user(mesh: Mesh) -> None:
    """Publish the new key beside the old one, sign with the new one, take the old one away."""
    old, new = Issuer(kid="old"), Issuer(kid="new")
    mesh.apply(text=with_keys("token.yaml", old))
    with mesh.load(f"GET {WEB}", headers=old.headers(), rps=200) as users:
        users.until(requests=40)
        mesh.apply(text=with_keys("token.yaml", old, new))
        users.until(requests=40)
    with mesh.load(f"GET {WEB}", headers=new.headers(), rps=200) as later:
        later.until(requests=40)
        mesh.apply(text=with_keys("token.yaml", new))
        later.until(requests=40)
    for load in (users, later):
        answered(load, 200)
    answered(ask(mesh, f"GET {WEB}", old.headers()), 401)


def test_an_issuer_that_is_spelt_otherwise_is_caught(mesh: Mesh) -> None:
    issuer = Issuer()
    mesh.apply(text=with_keys("token.yaml", issuer))
    mesh.apply(text=with_keys("planted_other_issuer.yaml", issuer))
    with pytest.raises(AssertionError, match=r"should be answered 200, but 30 with 401"):
        answered(ask(mesh, f"GET {WEB}", issuer.headers()), 200)


def test_a_token_that_nobody_asks_for_is_caught(mesh: Mesh) -> None:
    mesh.apply(text=with_keys("token.yaml", Issuer()))
    mesh.apply(HERE / "planted_nobody_asks.yaml")
    with pytest.raises(AssertionError, match=r"should be answered 403, but 30 with 200"):
        answered(ask(mesh, f"GET {WEB}"), 403)


# -- limits


@pytest.mark.mesh_apply("limit.yaml")
def test_what_is_over_the_limit_is_answered_429_and_reaches_no_pod(mesh: Mesh) -> None:
    load = ask(mesh, f"GET {WEB}", requests=100)
    assert Counter(r.status for r in load.requests) == {200: 40, 429: 60}
    mesh.verify(no_downtime())


@pytest.mark.mesh_apply("planted_wrong_context.yaml")
def test_a_limit_on_the_wrong_side_is_caught(mesh: Mesh) -> None:
    load = ask(mesh, f"GET {WEB}", requests=100)
    with pytest.raises(AssertionError, match=r"should be answered 429, but 100 with 200"):
        answered(load, 429)


# -- identities


def from_(mesh: Mesh, source: str, requests: int = 30) -> Load:
    return mesh.load(f"GET {WEB}", source=source, rps=500, requests=requests).run()


@pytest.mark.mesh_apply("callers.yaml")
def test_strict_mutual_tls_keeps_out_who_has_no_certificate(mesh: Mesh) -> None:
    answered(from_(mesh, "checkout"), 200)
    answered(from_(mesh, "outside"), 503)  # the handshake fails, so nothing is ever asked


def test_a_mesh_becomes_strict_under_load_without_a_lost_request(mesh: Mesh) -> None:
    with mesh.load(f"GET {WEB}", rps=200) as users:
        users.until(requests=50)
        mesh.apply(HERE / "callers.yaml")
        users.until(requests=50)
    answered(users, 200)
    mesh.verify(no_downtime())


@pytest.mark.mesh_apply("callers.yaml", "planted_permissive.yaml")
def test_plain_text_that_is_let_in_again_is_caught(mesh: Mesh) -> None:
    with pytest.raises(AssertionError, match=r"should be answered 503, but 30 with 200"):
        answered(from_(mesh, "outside"), 503)


@pytest.mark.mesh_apply("callers.yaml", "only_checkout.yaml")
def test_only_the_identity_that_is_named_is_let_in(mesh: Mesh) -> None:
    answered(from_(mesh, "checkout"), 200)
    answered(from_(mesh, "newsletter"), 403)


@pytest.mark.mesh_apply("callers.yaml", "planted_any_account.yaml")
def test_a_policy_for_the_whole_namespace_is_caught(mesh: Mesh) -> None:
    answered(from_(mesh, "checkout"), 200)
    with pytest.raises(AssertionError, match=r"should be answered 403, but 30 with 200"):
        answered(from_(mesh, "newsletter"), 403)


@pytest.mark.mesh_apply("callers.yaml", "only_checkout.yaml")
def test_certificates_are_rotated_without_a_lost_request(mesh: Mesh) -> None:
    with (
        mesh.load(f"GET {WEB}", source="checkout", rps=150) as checkout,
        mesh.load(f"GET {WEB}", source="newsletter", rps=50) as newsletter,
    ):
        for number in range(3):
            with mesh.step(f"rotation {number}"):
                assert mesh.rotate_certificates() > 0
                checkout.until(requests=50)
    answered(checkout, 200)
    answered(newsletter, 403)
    mesh.verify(no_downtime())


def test_a_rotation_of_nothing_is_caught(mesh: Mesh) -> None:
    """Planted: no policy asks for identities, so there is no certificate, and a rotation would prove nothing."""
    assert mesh.rotate_certificates() == 0
