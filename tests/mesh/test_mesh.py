"""What Mesh does around a change: what it records, what it keeps, what it refuses, and where requests enter."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import pytest

from meshtest import ConfigRejected, ManifestError, Mesh, Settings, UsageError
from meshtest.errors import FeatureMissing
from meshtest.mesh.entering import source_for
from meshtest.model.feature import Feature
from meshtest.model.verdict import Outcome
from meshtest.run import Run
from meshtest.spi.provider import Entrance, Provider
from meshtest.testing import FakeProvider
from tests.web import GATEWAY

from .conftest import WEB


def kinds(mesh: Mesh) -> list[str]:
    return [event.kind for event in mesh.run.history().events]


class TestChange:
    def test_each_change_is_asked_for_and_acknowledged_with_its_shares(self, mesh: Mesh) -> None:
        mesh["web"].shift(v2=10)
        history = mesh.run.history()
        asked, acked = history.of("config.apply"), history.of("config.ack")
        assert [e.data["number"] for e in asked] == [e.data["number"] for e in acked] == [1, 2]
        assert asked[1].data["reason"] == "shift web v1=90 v2=10"
        assert asked[1].data["shares"] == {"web": {"v1": 90, "v2": 10}}
        assert asked[1].at <= acked[1].at

    def test_its_diff_is_kept_in_the_run_folder(self, mesh: Mesh) -> None:
        mesh["web"].shift(v2=10)
        text = (mesh.run.directory / "config" / "002.diff").read_text()
        assert text.startswith("# shift web v1=90 v2=10\n")
        assert "+      weight: 90" in text

    def test_a_refused_change_is_recorded_and_the_old_one_stays(self, mesh: Mesh, provider: FakeProvider) -> None:
        provider.refuse = ConfigRejected("Envoy refused the configuration: because")
        documents, topology = mesh.documents, mesh.topology
        with pytest.raises(ConfigRejected, match="because"):
            mesh["web"].shift(v2=10)
        assert mesh.documents is documents
        assert mesh.topology is topology
        assert mesh["web"].shares == {"v1": 100}
        (rejected,) = mesh.run.history().of("config.rejected")
        assert rejected.data == {"number": 2, "text": "Envoy refused the configuration: because"}

    def test_documents_with_errors_never_reach_the_provider(self, mesh: Mesh, provider: FakeProvider) -> None:
        before = list(provider.applied)
        with pytest.raises(ManifestError, match=r"weight"):
            mesh.apply(text=WEB.replace("weight: 100", "weight: -1"))
        assert provider.applied == before

    def test_apply_needs_something_to_apply(self, bare: Mesh) -> None:
        with pytest.raises(UsageError, match=r"mesh.apply\(\) needs files or text="):
            bare.apply()

    def test_files_are_found_relative_to_the_base(self, bare: Mesh, tmp_path: Path) -> None:
        (tmp_path / "web.yaml").write_text(WEB)
        bare.apply("web.yaml", base=tmp_path)
        assert bare["web"].versions == ["v1", "v2"]

    def test_scale_changes_the_pods_and_what_the_mesh_believes(self, mesh: Mesh, provider: FakeProvider) -> None:
        mesh["web"]["v2"].scale(3)
        assert len(mesh["web"]["v2"].pods) == 3
        assert [w.replicas for w in mesh["web"]["v2"].workloads] == [3]
        mesh["web"].shift(v2=10)
        assert len(provider.pods("default/web-v2")) == 3, "the next change does not undo it"


class TestFeatures:
    def test_what_the_provider_does_not_declare_is_an_error_with_names(self, settings: Settings) -> None:
        provider: Provider = FakeProvider(features=set(Feature) - {Feature.WEIGHTS, Feature.PODS})
        with Mesh(provider, Run("unit", settings), settings) as mesh:
            with pytest.raises(FeatureMissing, match="provider 'fake' lacks pods, weights"):
                mesh.apply(text=WEB.replace("weight: 100", "weight: 90").replace("weight: 0", "weight: 10"))
            assert "config.apply" not in kinds(mesh)

    def test_a_fault_in_a_version_needs_a_feature_of_its_own(self, settings: Settings) -> None:
        provider: Provider = FakeProvider(features=set(Feature) - {Feature.FAULT_AT_DESTINATION})
        with Mesh(provider, Run("unit", settings), settings) as mesh:
            mesh.apply(text=WEB)
            with pytest.raises(FeatureMissing, match="lacks fault-at-destination"), mesh.fault("web@v2", abort=503):
                pass
            assert mesh.topology.faults == {}


class TestNames:
    def test_a_service_is_found_by_its_short_name_its_namespace_or_in_full(self, mesh: Mesh) -> None:
        hosts = {mesh[name].host for name in ("web", "web.default", "web.default.svc.cluster.local")}
        assert hosts == {"web.default.svc.cluster.local"}

    def test_an_unknown_service_lists_the_known_and_suggests_one(self, mesh: Mesh) -> None:
        with pytest.raises(UsageError, match=r"no service 'wep'; there are: web \(did you mean 'web'\?\)"):
            mesh["wep"]

    def test_before_anything_is_applied_that_is_said(self, bare: Mesh) -> None:
        with pytest.raises(UsageError, match=r"there are: none \(mesh.apply\(...\) comes first\)"):
            bare["web"]

    def test_a_name_in_two_namespaces_must_be_written_in_full(self, mesh: Mesh) -> None:
        mesh.apply(text=WEB.replace("metadata: {name: ", "metadata: {namespace: shop, name: "))
        with pytest.raises(UsageError, match=r"in the namespaces default, shop: write web\.NAMESPACE"):
            mesh["web"]
        assert mesh["web.shop"].host == "web.shop.svc.cluster.local"

    def test_an_unknown_version_lists_the_known_and_suggests_one(self, mesh: Mesh) -> None:
        with pytest.raises(UsageError, match=r"web has no version 'v22'; it has v1, v2 \(did you mean 'v2'\?\)"):
            mesh["web"]["v22"]

    def test_a_target_is_a_service_or_one_of_its_versions(self, mesh: Mesh) -> None:
        assert [w.name for w in mesh.find("web")] == ["web-v1", "web-v2"]
        assert [w.name for w in mesh.find("web@v2")] == ["web-v2"]


class TestEntrance:
    @pytest.mark.parametrize(
        "authority", ["web", "web:80", "web.default", "web.default.svc", "web.default.svc.cluster.local:80"]
    )
    def test_hosts_of_the_mesh_are_called_from_inside(self, mesh: Mesh, authority: str) -> None:
        mesh.apply(text=GATEWAY)
        assert source_for(mesh.topology, authority) == ""

    def test_other_hosts_come_in_through_the_gateway(self, mesh: Mesh) -> None:
        mesh.apply(text=GATEWAY)
        assert source_for(mesh.topology, "shop.example") == "ingress"

    def test_without_a_gateway_everything_is_called_from_inside(self, mesh: Mesh) -> None:
        assert source_for(mesh.topology, "shop.example") == ""


class TestPods:
    def test_terminate_ends_every_pod_of_the_version(self, mesh: Mesh, provider: FakeProvider) -> None:
        mesh["web"]["v1"].terminate()
        assert provider.calls[-3:] == [("terminate", "web-v1-0"), ("terminate", "web-v1-1"), ("apply",)]
        assert mesh["web"]["v1"].pods == []

    def test_kill_sends_the_signal_to_each(self, mesh: Mesh, provider: FakeProvider) -> None:
        mesh["web"]["v1"].kill(signal.SIGTERM)
        assert provider.calls[-2:] == [("kill", "web-v1-0", 15), ("kill", "web-v1-1", 15)]


class TestStep:
    def test_a_step_is_marked_and_what_was_sent_before_it_does_not_count(self, mesh: Mesh) -> None:
        before = mesh.mark
        with mesh.step("v2 at 10%"):
            inside = mesh.mark
            mesh["web"].shift(v2=10)
            assert mesh.mark > inside, "a change inside moves the mark on"
        assert inside > before
        steps = [(e.kind, e.subject) for e in mesh.run.history().events if e.kind.startswith("step.")]
        assert steps == [("step.start", "v2 at 10%"), ("step.end", "v2 at 10%")]

    def test_a_step_that_fails_ends_all_the_same(self, mesh: Mesh) -> None:
        with pytest.raises(ZeroDivisionError), mesh.step("broken"):
            raise ZeroDivisionError
        assert kinds(mesh)[-1] == "step.end"


class TestVerdict:
    def test_without_a_split_only_downtime_is_asked_for(self, mesh: Mesh) -> None:
        assert [c.name for c in mesh.default_checks()] == ["no_downtime"]

    def test_a_host_that_was_ever_split_is_judged(self, mesh: Mesh) -> None:
        mesh["web"].shift(v2=10)
        mesh["web"].shift(v2=100)
        downtime, split = mesh.default_checks()
        assert (downtime.name, split.name, split.parameters()["host"]) == ("no_downtime", "split", "web")

    def test_one_setting_says_how_often_a_right_mesh_may_be_called_wrong(
        self, provider: FakeProvider, settings: Settings
    ) -> None:
        strict = replace(settings, error=1e-6)
        with Mesh(provider, Run("unit", strict, seed=7), strict) as mesh:
            mesh.apply(text=WEB)
            mesh["web"].shift(v2=10)
            assert mesh.about(10).error == 1e-6
            assert mesh.about(10, error=0.01).error == 0.01
            assert mesh.default_checks()[1].parameters()["error"] == 1e-6

    def test_nothing_seen_proves_nothing(self, mesh: Mesh) -> None:
        assert mesh.judge().outcome is Outcome.UNKNOWN
        with pytest.raises(AssertionError, match=r"UNKNOWN: no_downtime"):
            mesh.verify()


class TestLife:
    def test_a_provider_of_its_own_is_opened_and_closed(self, settings: Settings) -> None:
        provider = FakeProvider()
        with Mesh(provider, Run("unit", settings), settings):
            assert provider.context is not None
        assert provider.calls == [("open",), ("close",)]

    def test_a_borrowed_provider_is_released_and_stays_open(self, settings: Settings) -> None:
        provider = FakeProvider()
        with Mesh(provider, Run("unit", settings), settings, owns_provider=False) as mesh:
            mesh.apply(text=WEB)
        assert provider.calls == [("open",), ("apply",), ("release",)]

    def test_closing_undoes_what_is_in_the_way_and_ends_the_run(self, settings: Settings) -> None:
        provider = FakeProvider()
        mesh = Mesh(provider, Run("unit", settings), settings).open()
        mesh.apply(text=WEB)
        mesh.fault("web", abort=503).__enter__()
        mesh.close()
        mesh.close()
        assert mesh.run.closed
        assert provider.calls.count(("close",)) >= 1
        assert all(route.fault is None for table in provider.topology.tables for route in table.routes)
        assert [e.kind for e in mesh.run.history().events][-2:] == ["fault.end", "run.end"]


class TestAsk:
    @pytest.fixture
    def entrances(self, mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Where requests were sent, in order."""
        seen: list[str] = []
        original = mesh.provider.entrance

        def entrance(source: str) -> Entrance:
            seen.append(source)
            return original(source)

        monkeypatch.setattr(mesh.provider, "entrance", entrance)
        return seen

    def test_its_reply_is_recorded_whatever_it_is(self, mesh: Mesh) -> None:
        reply = mesh.ask("POST http://web/pay", body="1")
        (event,) = mesh.run.history().of("ask")
        assert (reply.fate, event.subject) == ("refused", "ask-1")
        assert event.data == {
            "request": "POST http://web/pay", "protocol": "HTTP/1.1", "fate": "refused", "status": 0, "served_by": "",
        }  # fmt: skip

    def test_it_enters_where_its_url_leads_unless_told_otherwise(self, mesh: Mesh, entrances: list[str]) -> None:
        mesh.apply(text=GATEWAY)
        for url in ("http://web/", "http://web:8080/", "http://shop.example.com/", "https://shop.example.com/"):
            mesh.ask(url)
        mesh.ask("grpc://shop.example.com:9000/a.B/C")
        mesh.ask("http://shop.example.com/", source="web")
        assert entrances == ["", "", "ingress", "ingress/443", "ingress/9000", "web"]

    def test_a_question_without_a_meaning_is_refused(self, mesh: Mesh, entrances: list[str]) -> None:
        with pytest.raises(UsageError, match="the scheme one of http, https"):
            mesh.ask("GET web")
        assert entrances == []


def test_a_rotation_of_certificates_is_recorded(mesh: Mesh, provider: FakeProvider) -> None:
    mesh.apply(text=WEB)
    assert mesh.rotate_certificates() == 2
    (event,) = mesh.history().of("certificates.rotated")
    assert event.data["identities"] == 2
    assert ("rotate_certificates",) in provider.calls
