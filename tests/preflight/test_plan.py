"""The order of a plan: nothing is referred to before it is there, and nothing goes that is still referred to."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from meshtest.model.document import Document, Documents
from meshtest.preflight.links import gives, gives_pods, needs
from meshtest.preflight.plan import Step, plan
from tests.preflight.shop import Object, gateway, istio, read, route, rule, service, subsets, thing, to, version

OLD = (service(), version("v1"), subsets("v1"), route(rule(to("web", "v1"))))
NEW = (service(), version("v2"), subsets("v2"), route(rule(to("web", "v2"))))


def steps(new: Sequence[Object], old: Sequence[Object] = ()) -> list[str]:
    return [f"{s.action} {s.title.replace('default/', '')}" for s in plan(read(*new), read(*old) if old else None)]


class TestOrder:
    def test_an_installation_begins_with_what_others_refer_to(self) -> None:
        assert steps(reversed_(OLD)) == [
            "apply Deployment web-v1",
            "apply Service web",
            "apply DestinationRule web",
            "apply VirtualService web",
        ]

    def test_a_new_version_is_ready_before_its_subset_and_its_route(self) -> None:
        new = (*OLD[:2], version("v2"), subsets("v1", "v2"), route(rule(to("web", "v1", 90), to("web", "v2", 10))))
        assert steps(new, OLD) == [
            "apply Deployment web-v2",
            "apply DestinationRule web",
            "apply VirtualService web",
        ]

    def test_what_is_old_goes_after_the_routes_have_left_it(self) -> None:
        both = (*OLD[:2], version("v2"), subsets("v1", "v2"), route(rule(to("web", "v2"))))
        assert steps(NEW, both) == ["apply DestinationRule web", "delete Deployment web-v1"]

    def test_a_swap_is_made_in_two_edits(self) -> None:
        assert steps(NEW, OLD) == [
            "apply Deployment web-v2",
            "extend DestinationRule web",
            "apply VirtualService web",
            "apply DestinationRule web",
            "delete Deployment web-v1",
        ]

    def test_the_edit_between_has_both(self) -> None:
        (extended,) = [s.document for s in plan(read(*NEW), read(*OLD)) if s.action == "extend"]
        assert [subset["name"] for subset in extended.data["spec"]["subsets"]] == ["v1", "v2"]

    def test_a_port_moves_in_two_edits_too(self) -> None:
        def shop(port: int) -> tuple[Object, ...]:
            return service("web", port), version("v1"), route(rule(to("web", port=port)))

        assert steps(shop(81), shop(80)) == [
            "extend Service web",
            "apply VirtualService web",
            "apply Service web",
        ]

    def test_a_secret_is_there_before_its_gateway_and_a_gateway_before_its_routes(self) -> None:
        tls = {"mode": "SIMPLE", "credentialName": "cert"}
        secret = thing("Secret", "cert", api="v1", namespace="istio-system")
        shop = (route(gateways=["shop"]), gateway(port=443, tls=tls), secret, service(), version("v1"))
        told = steps(shop)
        assert told.index("apply Secret istio-system/cert") < told.index("apply Gateway shop")
        assert told.index("apply Gateway shop") < told.index("apply VirtualService web")

    def test_a_grant_is_there_before_the_route_that_needs_it(self) -> None:
        backend = {"name": "web", "namespace": "shop", "port": 80}
        api = "gateway.networking.k8s.io/v1"
        http = thing("HTTPRoute", api=api, spec={"rules": [{"backendRefs": [backend]}]})
        origin = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}
        spec = {"from": [origin], "to": [{"group": "", "kind": "Service"}]}
        grant = thing("ReferenceGrant", api=f"{api}beta1", spec=spec, namespace="shop")
        told = steps((http, grant, service(namespace="shop")))
        assert told.index("apply ReferenceGrant shop/web") < told.index("apply HTTPRoute web")

    def test_a_selector_switches_when_the_new_pods_are_ready(self) -> None:
        def shop(colour: str) -> tuple[Object, ...]:
            made = service()
            made["spec"]["selector"] = {"app": "web", "version": colour}
            return made, version(colour)

        assert steps(shop("green"), shop("blue")) == [
            "apply Deployment web-green",
            "apply Service web",
            "delete Deployment web-blue",
        ]

    def test_a_policy_about_tokens_waits_for_who_reads_them(self) -> None:
        asks = {"rules": [{"from": [{"source": {"requestPrincipals": ["*"]}}]}]}
        told = steps((istio("AuthorizationPolicy", "a", asks), istio("RequestAuthentication", "z")))
        assert told == ["apply RequestAuthentication z", "apply AuthorizationPolicy a"]

    def test_what_no_order_saves_is_said(self) -> None:
        """One Deployment changes its version in place, and each end needs its own."""
        (first, *_) = plan(read(service(), _in_place("v2"), *NEW[2:]), read(service(), _in_place("v1"), *OLD[2:]))
        assert first.title == "Deployment default/web"
        assert "pods of subset `v1`, which DestinationRule `web` uses" in first.risk

    def test_each_step_says_why_and_what_to_wait_for(self) -> None:
        first, second, *_, last = plan(read(*NEW), read(*OLD))
        assert first.why == "before DestinationRule `web`, which needs it"
        assert first.wait.endswith("kubectl rollout status deployment/web-v2 -n default")
        assert second.why == "adds subset `v2` beside subset `v1`, which is still in use"
        assert last.why == "nothing refers to it any more"


def reversed_(objects: Sequence[Object]) -> Sequence[Object]:
    return objects[::-1]


def _in_place(name: str) -> Object:
    made = version(name)
    made["metadata"]["name"] = "web"
    return made


# -- of any two shops

NAMES = ("web", "cart")
VERSIONS = ("v1", "v2", "v3")


@st.composite
def shops(draw: st.DrawFn) -> list[Object]:
    """Services with some versions, subsets for some of these, a route to some of those, perhaps a gateway."""
    objects: list[Object] = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        running = draw(st.lists(st.sampled_from(VERSIONS), min_size=1, unique=True))
        port = draw(st.sampled_from([80, 81]))
        objects += [service(name, port), *(version(v, name) for v in running)]
        named = draw(st.lists(st.sampled_from(running), unique=True))
        if named:
            rules = subsets(*named, host=name)
            rules["metadata"]["name"] = name
            objects.append(rules)
        if draw(st.booleans()):
            some = draw(st.lists(st.sampled_from(named), min_size=1, unique=True)) if named else [""]
            gateways = ["mesh", "shop"] if draw(st.booleans()) else None
            objects += [gateway()] if gateways and not any(o["kind"] == "Gateway" for o in objects) else []
            targets = [to(name, subset, 1, port) for subset in some]
            objects.append(route(rule(*targets), name=name, hosts=[name], gateways=gateways))
    return draw(st.permutations(objects))


def dangling(state: Documents) -> list[str]:
    """What the objects of a state refer to that is not in it."""
    given_ = {token for document in state for token in gives(document)}
    missing = []
    for document in state:
        for need in needs(document):
            if need.token[0] in ("namespace", "object"):
                continue
            if not (need.token in given_ or _pods(state, need.token)):
                missing.append(f"{document.kind} {document.name}: {need.what}")
    return missing


def _pods(state: Documents, token: tuple[object, ...]) -> bool:
    if token[0] != "pods":
        return False
    _, namespace, selector = token
    assert isinstance(selector, tuple)
    return any(gives_pods(document, str(namespace), dict(selector)) for document in state)


def _documents(objects: Sequence[Object]) -> Documents:
    return Documents(tuple(Document(made, "shop.yaml") for made in objects))


def _states(before: Documents, taken: Sequence[Step]) -> list[Documents]:
    states = [before]
    for step in taken:
        states.append(step.after(states[-1]))
    return states


@settings(max_examples=200, deadline=None)
@given(old=shops(), new=shops())
def test_no_state_on_the_way_has_a_dangling_reference(old: list[Object], new: list[Object]) -> None:
    before, after = _documents(old), _documents(new)
    assert dangling(before) == dangling(after) == [], "the two ends are whole"
    taken = plan(after, before)
    states = _states(before, taken)
    assert [dangling(state) for state in states] == [[] for _ in states]
    assert not any(step.risk for step in taken)


@settings(max_examples=100, deadline=None)
@given(old=shops(), new=shops())
def test_a_plan_ends_where_it_should_and_the_numbers_count(old: list[Object], new: list[Object]) -> None:
    before, after = _documents(old), _documents(new)
    taken = plan(after, before)
    assert _data(_states(before, taken)[-1]) == _data(after)
    assert [step.number for step in taken] == list(range(1, len(taken) + 1))


def _data(documents: Documents) -> dict[tuple[str, str, str], object]:
    return {document.key: document.data for document in documents}
