"""The parts of a rehearsal that start nothing: its clock, its users, what is rolled out, what stands in."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from meshtest.checks.canary_users import Met
from meshtest.errors import UsageError
from meshtest.manifests.reader import read_text
from meshtest.mesh.canary import commands, stage, story, traffic
from meshtest.mesh.canary.clock import Clock
from meshtest.mesh.canary.fault import fault_of
from meshtest.mesh.canary.length import most_ticks
from meshtest.mesh.canary.revision import Wanted, retagged
from meshtest.mesh.hasten import hastened
from meshtest.model.document import Document
from meshtest.model.rehearsal import Rehearsal, TickRow
from meshtest.model.service import Container, Handler, Probe, Workload
from meshtest.model.topology import Topology
from meshtest.rollouts.canary.spec import Canary, Hook
from tests.rollouts.podinfo import document, podinfo

MET = Met(requests=5, failed=0, exposed=0, exposed_failed=0)


class Time:
    """Passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0

    def pause(self, seconds: float) -> None:
        self.now += seconds


class TestClock:
    @pytest.fixture
    def time(self) -> Time:
        return Time()

    @pytest.fixture
    def clock(self, time: Time) -> Clock:
        made = Clock(interval=60.0, speed=20.0, now=lambda: time.now, pause=time.pause)
        made.start()
        return made

    def test_ticks_do_not_drift(self, clock: Clock, time: Time) -> None:
        for number in range(1, 51):
            time.now += 0.7  # what the tick takes
            clock.wait(lambda: None)
            assert time.now == pytest.approx(100 + 3 * number)
        assert clock.slot == 50
        assert clock.after == pytest.approx(3000)

    def test_a_slow_tick_is_followed_at_once_and_missed_slots_are_lost(self, clock: Clock, time: Time) -> None:
        time.now += 10  # three slots, and a bit of the fourth
        assert clock.missed == 3
        clock.wait(lambda: None)
        assert (clock.slot, time.now) == (3, 110)
        clock.wait(lambda: None)
        assert (clock.slot, time.now) == (4, pytest.approx(112))

    def test_work_of_the_rehearsal_takes_nothing_of_a_slot_but_a_moment(self, clock: Clock, time: Time) -> None:
        time.now += 2.0  # a change, a scrape and a query, of a slot of 3 s
        clock.stood(2.0)
        assert clock.after == pytest.approx(3.0), "0.15 s of ours"
        clock.wait(lambda: None)
        assert time.now == pytest.approx(100 + 2.0 + 3.0 - 0.15)
        assert (clock.slot, clock.missed) == (1, 0)
        clock.stood(0.1)
        assert clock.after == pytest.approx(60), "a tick that is quick is as it was"

    def test_a_slot_is_cut_short_and_counts_as_a_whole_one(self, clock: Clock, time: Time) -> None:
        clock.skip(0.5)
        clock.wait(lambda: None)
        assert clock.slot == 1
        assert clock.after == pytest.approx(60)
        assert time.now == pytest.approx(100.5)

    def test_it_looks_while_it_waits(self, clock: Clock) -> None:
        seen: list[int] = []
        clock.wait(lambda: seen.append(1))
        assert len(seen) >= 50


class TestCommands:
    @staticmethod
    def of(cmd: str) -> commands.Command | None:
        return commands.of(Hook(name="load", metadata={"cmd": cmd}))

    def test_hey_sends_so_many_for_each_worker(self) -> None:
        found = self.of(
            "hey -z 1m -q 10 -c 2 -m POST -H 'x-user: 7' -T application/json -d '{\"a\":1}' http://web.test/cart"
        )
        assert found is not None
        assert (found.method, found.url, found.rate, found.seconds) == ("POST", "http://web.test/cart", 20.0, 60.0)
        assert found.headers == ("x-user: 7", "content-type: application/json")
        assert found.body == '{"a":1}'
        assert found.left == ()

    def test_a_host_takes_the_place_of_the_gateways_address(self) -> None:
        found = self.of("hey -z 30s -q 5 -host shop.example http://istio-ingressgateway.istio-system/a/b")
        assert found is not None
        assert found.url == "http://shop.example/a/b"
        assert found.rate == 250

    def test_wrk2_and_ghz(self) -> None:
        wrk = self.of("/usr/bin/wrk -t2 -c10 -d90s -R100 --header=a:b http://web.test/")
        assert wrk is not None
        wrk = self.of("wrk2 -t 2 -c 10 -d 90s -R 100 http://web.test/")
        assert wrk is not None
        assert (wrk.rate, wrk.seconds) == (100.0, 90.0)
        ghz = self.of("ghz --insecure --rps=50 -z 1m --call podinfo.Echo.Say -d '{}' web-canary.test:9898")
        assert ghz is not None
        assert ghz.url == "grpc://web-canary.test:9898/podinfo.Echo/Say"
        assert ghz.left == ("-d", "'{}'"), "what matters and is not understood is said"

    def test_without_a_rate_it_would_send_as_fast_as_it_can(self) -> None:
        found = self.of("hey -n 1000 http://web.test/")
        assert found is not None
        assert found.rate == 0

    @pytest.mark.parametrize("cmd", ["", "curl http://web/", "hey", "hey 'http://web/", "bats /tests"])
    def test_other_commands_are_no_load_tests(self, cmd: str) -> None:
        assert self.of(cmd) is None


def canary(**told: Any) -> Canary:
    return podinfo(spec={"service": {"port": 9898, **told.pop("service", {})}}, **told)


def load_test(cmd: str) -> dict[str, Any]:
    return {"name": "load", "url": "http://tester/", "metadata": {"cmd": cmd}}


class TestTraffic:
    def test_a_path_is_one_of_the_service(self) -> None:
        found = traffic.parse("POST /cart x-user:7 20/s", canary())
        assert found.request == "POST http://podinfo.test:9898/cart"
        assert (found.rate, found.headers) == (20.0, ("x-user: 7",))
        assert traffic.parse("/", canary()).request == "GET http://podinfo.test:9898/"

    def test_users_come_in_by_the_gateway_if_there_is_one(self) -> None:
        shop = canary(service={"gateways": ["public"], "hosts": ["*", "shop.example"]})
        assert traffic.apex(shop) == "http://shop.example"
        assert traffic.apex(canary(service={"gateways": ["mesh"]})) == "http://podinfo.test:9898"

    @pytest.mark.parametrize(
        "text", ["", "GET", "50rps", "GET / fast", "GET / 0rps", "web", "GET / 1rps 2rps", "GET / 9e9rps"]
    )
    def test_what_it_is_not_is_told(self, text: str) -> None:
        with pytest.raises(UsageError, match=r"write `\[METHOD\] URL-or-path"):
            traffic.parse(text, canary())

    def test_without_a_load_test_there_are_users_all_the_same(self) -> None:
        plan = traffic.planned(canary(), ())
        assert [(user.request, user.rate) for user in plan.users] == [("GET http://podinfo.test:9898/", 50.0)]
        assert "no load test calls the service" in plan.notes[0]

    def test_a_load_test_of_the_service_is_its_users(self) -> None:
        plan = traffic.planned(canary(webhooks=[load_test("hey -q 5 -c 2 http://podinfo:9898/a")]), ())
        assert [(user.request, user.rate, user.hook) for user in plan.users] == [
            ("GET http://podinfo.test:9898/a", 10.0, "")
        ]
        assert plan.tests == ()

    def test_one_of_the_canary_is_none(self) -> None:
        plan = traffic.planned(canary(webhooks=[load_test("hey -z 2m -q 5 -c 2 http://podinfo-canary.test:9898/")]), ())
        assert [(test.request, test.hook, test.seconds) for test in plan.tests] == [
            ("GET http://podinfo-canary.test:9898/", "load", 120.0)
        ]
        assert len(plan.users) == 1

    def test_what_is_asked_for_goes_before(self) -> None:
        hooks = [load_test("hey -q 5 -c 2 http://podinfo.test:9898/")]
        plan = traffic.planned(canary(webhooks=hooks), ("GET /x 7rps",))
        assert [user.rate for user in plan.users] == [7.0]
        assert plan.notes == ()

    def test_too_much_is_not_sent_and_that_is_said(self) -> None:
        plan = traffic.planned(canary(webhooks=[load_test("hey -q 100 -c 100 http://podinfo.test:9898/")]), ())
        assert plan.users[0].rate == traffic.MOST
        assert "(10000 in production)" in plan.notes[0]

    @pytest.mark.parametrize(
        ("condition", "header"),
        [
            ({"x-canary": {"exact": "insider"}}, "x-canary: insider"),
            ({"cookie": {"regex": "^(.*?;)?(canary=always)(;.*)?$"}}, "cookie: canary=always"),
            ({"user-agent": {"regex": ".*Firefox.*"}}, "user-agent: Firefox"),
        ],
    )
    def test_some_users_are_those_whom_an_ab_test_chooses(self, condition: dict[str, Any], header: str) -> None:
        plan = traffic.planned(canary(iterations=3, match=[{"headers": condition}]), ())
        assert plan.users[1].headers == (header,)

    def test_if_nobody_can_be_chosen_that_is_said(self) -> None:
        plan = traffic.planned(canary(iterations=3, match=[{"headers": {"x": {"regex": "[0-9]{7}"}}}]), ())
        assert len(plan.users) == 1
        assert "nobody may match" in plan.notes[-1]


WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo, namespace: test}
spec:
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo}}
    spec: {containers: [{name: web, image: "registry:5000/web:v1"}, {name: side, image: side}]}
"""


def deployment() -> Document:
    (found,) = read_text(WEB, "web.yaml")
    return found


def wanted(**told: Any) -> Wanted:
    return Wanted(**{"images": {}, "annotations": {}, **told})


def images(document: Document) -> list[str]:
    return [one["image"] for one in document.data["spec"]["template"]["spec"]["containers"]]


class TestRevision:
    @pytest.mark.parametrize(
        ("told", "name", "after"),
        [
            ({"to": "v2"}, "v2", ["registry:5000/web:v2", "side"]),
            ({"image": "other/web:v3"}, "v3", ["other/web:v3", "side"]),
            ({"images": {"side": "v4"}}, "v4", ["registry:5000/web:v1", "side:v4"]),
            ({"images": {"side": "a/b@sha256:1"}}, "a/b@sha256:1", ["registry:5000/web:v1", "a/b@sha256:1"]),
        ],
    )
    def test_images(self, told: dict[str, Any], name: str, after: list[str]) -> None:
        said, documents = wanted(**told).revised(deployment())
        assert said == name
        assert [images(one) for one in documents] == [after]

    def test_annotations_are_those_of_the_pods(self) -> None:
        name, (document,) = wanted(annotations={"meshtest.dev/errors": "503:10"}).revised(deployment())
        assert name == "meshtest.dev/errors=503:10"
        assert document.data["spec"]["template"]["metadata"]["annotations"] == {"meshtest.dev/errors": "503:10"}
        assert document.where("spec", "template") == deployment().where("spec", "template")

    @pytest.mark.parametrize(
        ("told", "why"),
        [
            ({}, "what is rolled out"),
            ({"to": "v1"}, "v1 is what podinfo is already"),
            (
                {"images": {"wep": "v2"}},
                r"no container 'wep' in the target; it has: web, side \(did you mean 'web'\?\)",
            ),
            ({"to": "nowhere.yaml"}, "'nowhere.yaml' matches no file"),
        ],
    )
    def test_what_is_no_new_revision_is_told(self, told: dict[str, Any], why: str) -> None:
        with pytest.raises(UsageError, match=why):
            wanted(**told).revised(deployment())

    def test_the_port_of_a_registry_is_no_tag(self) -> None:
        assert retagged("registry:5000/web", "v2") == "registry:5000/web:v2"
        assert retagged("web@sha256:abc", "v2") == "web:v2"


class TestStage:
    def test_what_is_missing_is_stood_in_for_and_told(self) -> None:
        for provider, service in (
            ("istio", {"gateways": ["infra/public", "mesh"]}),
            ("gatewayapi:v1", {"gatewayRefs": [{"name": "public", "namespace": "infra"}]}),
        ):
            wants = podinfo(spec={"provider": provider, "service": {"port": 9898, **service}})
            documents, notes = stage.furnished(wants, read_text(WEB.replace("podinfo", "other"), "x"))
            assert [(d.kind.rpartition("/")[2], d.namespace, d.name) for d in documents][1:] == [
                ("Deployment", "test", "podinfo"), ("Gateway", "infra", "public")
            ]  # fmt: skip
            assert "no Deployment podinfo.test" in notes[0]
            assert "no Gateway infra/public" in notes[1]
            assert stage.furnished(wants, documents) == (documents, ())

    def test_a_daemon_set_runs_on_two_nodes_unless_it_says_on_how_many(self) -> None:
        wants = podinfo(spec={"targetRef": {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "podinfo"}})
        documents, notes = stage.furnished(wants, read_text(WEB, "x"))
        assert "no DaemonSet podinfo.test: one pod a node of the stand-in takes its place" in notes[0]
        assert "runs on 2 nodes here; its annotation meshtest.dev/nodes can say otherwise" in notes[1]
        target = stage.target_document(wants, documents)
        assert target.metadata["annotations"] == {"meshtest.dev/nodes": "2"}
        assert stage.furnished(wants, documents) == (documents, ())
        _, (newer,) = wanted(to="v2").revised(target)
        assert newer.metadata["annotations"] == {"meshtest.dev/nodes": "2"}

    def test_there_is_no_stand_in_for_a_service(self) -> None:
        wants = podinfo(spec={"targetRef": {"apiVersion": "v1", "kind": "Service", "name": "podinfo"}})
        with pytest.raises(UsageError, match=r"no Service podinfo.test, the target of Canary podinfo.test: give it"):
            stage.furnished(wants, read_text(WEB, "x"))

    def test_an_autoscaler_is_told_of_once_there_or_not(self) -> None:
        reference = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "name": "podinfo"}
        wants = podinfo(spec={"autoscalerRef": reference})
        _, notes = stage.furnished(wants, read_text(WEB, "x"))
        assert "no HorizontalPodAutoscaler podinfo.test, for which Flagger waits" in notes[-1]
        there = {**reference, "metadata": {"name": "podinfo", "namespace": "test"}, "spec": {"maxReplicas": 2}}
        del there["name"]
        _, notes = stage.furnished(wants, read_text(f"{WEB}\n---\n{json.dumps(there)}", "x"))
        assert notes[-1] == (
            "nothing scales by load here: HorizontalPodAutoscaler podinfo.test holds replicas within its bounds, and "
            "no more"
        )

    def test_other_targets_and_providers_are_refused_with_their_line(self) -> None:
        for spec, why in (
            (
                {"provider": None, "ingressRef": {"kind": "Ingress", "name": "x"}},
                "`spec.ingressRef` is for an ingress controller, which",
            ),
            ({"provider": "nginx"}, "provider 'nginx' is not rehearsed"),
            ({"suspend": True}, "suspended"),
        ):
            text = json.dumps(document(spec=spec).data)
            with pytest.raises(UsageError, match=f"c.yaml:1: .*{why}"):
                stage.canary_of(read_text(text, "c.yaml"), "", "")


class TestStory:
    def test_users_whom_nobody_answers_are_told_of(self) -> None:
        none = replace(MET, failed=5)
        assert [list(story._unanswered(one)) for one in (MET, replace(MET, requests=0))] == [[], []]
        (said,) = story._unanswered(none)
        assert "is all that leads to it among the manifests?" in said


class TestFault:
    def test_it_is_the_new_revisions_own_unless_it_names_another(self) -> None:
        named = podinfo()
        assert fault_of("abort=503 percent=10").is_own(named, "v2")
        assert fault_of("podinfo@v2 delay=20ms").is_own(named, "v2")
        assert not fault_of("podinfo@v1 delay=20ms").is_own(named, "v2")
        assert not fault_of("redis abort=500").is_own(named, "v2")

    @pytest.mark.parametrize(
        "text", ["", "web", "abort=x", "about=503", "abort=99", "delay=soon", "percent=10", "abort"]
    )
    def test_what_makes_no_sense_is_told(self, text: str) -> None:
        with pytest.raises(UsageError):
            fault_of(text)


class TestLength:
    def test_it_is_enough_for_every_end(self) -> None:
        assert most_ticks(podinfo(stepWeight=10, maxWeight=50)) > 8 + 2 + 10

    def test_what_never_ends_is_given_up_soon(self) -> None:
        stuck = podinfo(spec={"provider": "gatewayapi:v1"}, mirror=True)
        assert most_ticks(stuck) < 10


def test_probes_are_as_much_faster_as_the_clock() -> None:
    probe = Probe(handler=Handler(kind="http", port=80), initial_delay=10, period=10, timeout=2)
    hook = Handler(kind="sleep", seconds=5)
    slow = Workload(name="web", labels={}, containers=(Container(name="w", image="w", readiness=probe, pre_stop=hook),))
    (fast,) = hastened(Topology(workloads=(slow,)), 20).workloads
    found = fast.containers[0]
    assert found.readiness is not None
    assert (found.readiness.initial_delay, found.readiness.period, found.readiness.timeout) == (0.5, 0.5, 2)
    assert found.pre_stop is not None
    assert found.pre_stop.seconds == 0.25
    assert fast.grace == slow.grace


class TestSentence:
    def test_it_says_how_it_ended_when_why_and_what_users_met(self) -> None:
        row = TickRow(number=1, at=0.0, after=0.0, phase="Progressing", weight=0, routes="")
        told = Rehearsal(
            canary="web.test", strategy="canary", provider="istio", revision="v2", ending="rolled back", speed=20,
            reason="too slow", interval=60.0, intervals=65, ticks=(row,), requests=100, failed=3, exposed=20,
            exposed_failed=2,
        )  # fmt: skip
        assert str(told) == (
            "web.test: v2 was rolled back after 65 intervals (1 h 5 min in production): too slow; "
            "100 requests of users, 3 failed; 20 served by v2 before, 2 of those failed"
        )
        assert told.rolled_back
        assert not told.promoted
        assert Rehearsal.from_data(told.as_data()) == told
