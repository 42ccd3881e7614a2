"""Every code bites on the smallest manifests that it is about, and not on the nearest that it is not about."""

from __future__ import annotations

import pytest

from meshtest.preflight import CODES
from meshtest.preflight.rules import CHECKS, ONE_CHECKS
from tests.preflight.pairs import PAIRS, http_route
from tests.preflight.shop import (
    SHOP,
    Object,
    codes,
    found,
    istio,
    route,
    rule,
    service,
    subsets,
    thing,
    to,
    version,
)

ELSEWHERE = {
    "IST0133": "told of fields by the translation (test_command.py)",
    "MT010": "needs a state before (below)",
    "MT011": "needs a state before (below)",
    "MT901": "test_silence.py",
    "MT902": "test_silence.py",
    "MT903": "test_silence.py",
}


@pytest.mark.parametrize("code", PAIRS)
def test_it_bites(code: str) -> None:
    assert code in codes(*PAIRS[code][0])


@pytest.mark.parametrize("code", PAIRS)
def test_it_leaves_the_nearest_alone(code: str) -> None:
    assert code not in codes(*PAIRS[code][1])


def test_every_code_has_its_pair() -> None:
    assert CODES.keys() == PAIRS.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
def test_a_code_says_what_how_and_from_where(code: object) -> None:
    for field in ("says", "fix", "source", "name"):
        assert getattr(code, field).strip(), field
    assert str(getattr(code, "says", "")).endswith(".")


def test_checks_are_registered_once() -> None:
    functions = [check.run for check in (*CHECKS, *ONE_CHECKS)]
    assert len(functions) == len(set(functions))


def test_a_clean_shop_is_clean() -> None:
    assert found(*SHOP, subsets("v1", "v2"), route(rule(to("web", "v1", 90), to("web", "v2", 10)))) == []


class TestWhatIsAppliedAlready:
    OLD = (*SHOP, subsets("v1"), route(rule(to("web", "v1"))))

    def test_a_new_subset_with_its_route_is_a_hazard(self) -> None:
        new = (*SHOP, subsets("v1", "v2"), route(rule(to("web", "v2"))))
        assert "MT010" in codes(*new, before=self.OLD)

    def test_not_when_the_subset_was_there(self) -> None:
        old = (*SHOP, subsets("v1", "v2"), route(rule(to("web", "v1"))))
        new = (*SHOP, subsets("v1", "v2"), route(rule(to("web", "v2"))))
        assert codes(*new, before=old) == set()

    def test_nor_in_a_first_installation(self) -> None:
        assert codes(*self.OLD) == set()

    def test_a_subset_that_goes_under_a_route_is_an_error(self) -> None:
        new = (*SHOP, subsets("v2"), route(rule(to("web", "v1"))))
        assert {"MT011", "IST0101"} <= codes(*new, before=self.OLD)

    def test_a_subset_that_goes_together_with_its_route_is_a_hazard(self) -> None:
        new = (*SHOP, subsets(), route())
        assert codes(*new, before=self.OLD) == {"MT010"}


class TestGatewayApi:
    """HTTPRoutes: what they lead to is there, and granted."""

    def test_a_mirror_is_a_backend_too(self) -> None:
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "wep", "port": 80}}}
        spec = {"rules": [{"filters": [mirror], "backendRefs": [{"name": "web", "port": 80}]}]}
        (finding,) = found(*SHOP, thing("HTTPRoute", api="gateway.networking.k8s.io/v1", spec=spec))
        assert (finding.code, finding.message) == ("MT024", "there is no Service `wep` in `default`")

    def test_a_grant_for_one_name_is_for_that_name_only(self) -> None:
        other = (service(namespace="shop"), http_route("shop"))
        assert "MT022" not in codes(*other, grant("web"))
        assert "MT022" not in codes(*other, grant(""))
        assert "MT022" in codes(*other, grant("cart"))


def grant(name: str) -> Object:
    target = {"group": "", "kind": "Service", **({"name": name} if name else {})}
    origin = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}
    spec = {"from": [origin], "to": [target]}
    return thing("ReferenceGrant", api="gateway.networking.k8s.io/v1beta1", spec=spec, namespace="shop")


class TestPlaces:
    def test_a_finding_stands_at_the_line_of_what_is_wrong(self) -> None:
        (finding,) = found(service(), version(), route(rule(to("wep"))))
        assert finding.source.file == "shop.yaml"
        assert finding.title == "VirtualService default/web"
        assert "did you mean `web`?" in finding.message

    def test_several_analyzers_say_one_thing_once(self) -> None:
        nobody = istio("Gateway", "g", {"selector": {"app": "nobody"}, "servers": []})
        assert [f.code for f in found(nobody)] == ["IST0101"]


@pytest.mark.parametrize("pattern", ["/a(?=b)", r"(a)\1", "(?<!x)y", "(unclosed"])
def test_regexes_that_envoy_refuses_are_errors(pattern: str) -> None:
    (finding,) = found(*SHOP, route(rule(match=[{"uri": {"regex": pattern}}])))
    assert finding.code == "IST0106"
    assert "RE2" in finding.message
