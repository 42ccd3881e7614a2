"""Gates over the life of a rollout: for one revision, kept, and closed when another appears."""

from __future__ import annotations

import asyncio
import json

import pytest

from meshtest.webhook.gates import Seen, checked, expired
from meshtest.webhook.store import Gate
from tests.webhook.endpoint.site import Answer, Site, asked


def check(site: Site, checksum: str, phase: str = "Progressing", kind: str = "gate") -> Answer:
    return site.post(f"/{kind}/check", checksum=checksum, phase=phase)


def gate(open: bool, checksum: str = "") -> Gate:
    return Gate(kind="gate", namespace="shop", name="web", open=open, checksum=checksum)


class TestChecked:
    """The diagram of gates.py: each state, each kind of call."""

    @pytest.mark.parametrize(
        ("before", "binding", "open", "kept"),
        [
            (None, "c2", False, None),
            (gate(False), "c2", False, None),
            (gate(True), "", True, None),
            (gate(True), "c2", True, (True, "c2")),
            (gate(True, "c2"), "c2", True, None),
            (gate(True, "c2"), "", True, None),
            (gate(True, "c2"), "c3", False, (False, "c2")),
            (gate(True, "c2"), "after:c2", False, (False, "c2")),
        ],
    )
    def test_each(self, before: Gate | None, binding: str, open: bool, kept: tuple[bool, str] | None) -> None:
        seen: Seen = checked(before, binding)
        assert seen.open is open
        assert (seen.kept and (seen.kept.open, seen.kept.checksum)) == kept

    def test_a_closed_one_does_not_expire(self) -> None:
        assert expired(gate(False, "c2"), "c3") is None
        assert expired(gate(True), "c3") is None


@pytest.mark.parametrize("kind", ["gate", "rollback"])
class TestForOneRevision:
    def test_the_first_that_asks_binds_it(self, site: Site, kind: str) -> None:
        site.post(f"/{kind}/open")
        assert check(site, "c2", kind=kind).status == 200
        assert check(site, "c2", kind=kind).status == 200
        answer = check(site, "c3", kind=kind)
        assert answer.status == 403
        assert "it was open for revision c2, and this is revision c3" in answer.text
        assert check(site, "c2", kind=kind).status == 403, "it does not open again"

    @pytest.mark.parametrize("call", ["hooks/pre-rollout/smoke", "hooks/rollback/smoke", "hooks/event", "argo/smoke"])
    def test_any_call_of_another_revision_closes_it(self, site: Site, kind: str, call: str) -> None:
        site.post(f"/{kind}/open")
        check(site, "c2", kind=kind)
        site.post(f"/{call}", checksum="c3", phase="Progressing")
        kept = site.gate(kind)
        assert kept is not None
        assert not kept.open

    def test_opened_with_a_checksum_it_is_for_that_one(self, site: Site, kind: str) -> None:
        site.post(f"/{kind}/open", checksum="c3", phase="Progressing")
        assert check(site, "c2", kind=kind).status == 403

    def test_it_is_opened_again_for_the_next(self, site: Site, kind: str) -> None:
        site.post(f"/{kind}/open")
        check(site, "c2", kind=kind)
        check(site, "c3", kind=kind)
        site.post(f"/{kind}/open")
        assert check(site, "c3", kind=kind).status == 200

    def test_a_restart_changes_nothing(self, site: Site, kind: str) -> None:
        site.post(f"/{kind}/open")
        check(site, "c2", kind=kind)
        site.restart()
        assert check(site, "c2", kind=kind).status == 200
        site.restart()
        assert check(site, "c3", kind=kind).status == 403


class TestOldChecksum:
    """confirm-rollout asks with the checksum of the revision before."""

    def test_opened_while_it_waits_it_lets_that_rollout_start(self, site: Site) -> None:
        assert check(site, "c1", "Succeeded").status == 403
        site.post("/gate/open")
        assert check(site, "c1", "Waiting").status == 200

    def test_but_not_its_promotion(self, site: Site) -> None:
        site.post("/gate/open")
        check(site, "c1", "Waiting")
        assert check(site, "c2").status == 403

    @pytest.mark.parametrize("phase", ["Succeeded", "Waiting", "Initialized"])
    def test_one_of_a_promotion_does_not_start_the_next_rollout(self, site: Site, phase: str) -> None:
        """v2 was promoted by its gate; v3 asks for approval with the checksum of v2."""
        site.post("/gate/open")
        assert check(site, "c2").status == 200
        answer = check(site, "c2", phase)
        assert answer.status == 403
        assert "it was open for revision c2, and this is the rollout after c2" in answer.text

    def test_one_of_a_rollout_does_not_start_the_one_after_it(self, site: Site) -> None:
        site.post("/gate/open")
        assert check(site, "c1", "Waiting").status == 200
        assert check(site, "c2", "Succeeded").status == 403
        assert check(site, "c1", "Waiting").status == 403


def test_who_opened_and_closed_it_is_kept(site: Site) -> None:
    body = json.dumps({"name": "web", "namespace": "shop"}).encode()
    site.ask("POST", "/gate/open", body, {"User-Agent": "curl/8"})
    check(site, "c2")
    check(site, "c3")
    assert [(one.open, one.checksum, one.who) for one in site.store.audit()] == [
        (False, "c2", "endpoint"), (True, "c2", "endpoint"), (True, "", "curl/8"),
    ]  # fmt: skip


def test_checks_of_a_bound_gate_write_nothing(site: Site) -> None:
    site.post("/gate/open")
    for _ in range(5):
        check(site, "c2")
        site.post("/gate/check")
    assert len(site.store.audit()) == 2


def test_closed_in_the_same_moment_it_is_not_opened_again_by_the_check_that_binds_it(site: Site) -> None:
    site.post("/gate/open")

    async def race() -> None:
        body = json.dumps({"name": "web", "namespace": "shop", "checksum": "c2", "phase": "Progressing"}).encode()
        await asyncio.gather(
            *(asked(site.app, "POST", path, [body]) for path in ("/gate/check", "/gate/close", "/gate/check"))
        )

    site.wait(race())
    assert check(site, "c2").status == 403
