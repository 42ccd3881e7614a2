"""The HTTPRoute of a Canary; of Linkerd, too, where the parent is a Service.

Rules: fluxcd/flagger pkg/router/gateway_api.go, and gateway_api_v1beta1.go, which knows neither timeouts nor CORS, and
of session affinity only the canary's cookie.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.model.document import Document, Documents, Path
from meshtest.rollouts.canary import affinity
from meshtest.rollouts.canary.objects import matches
from meshtest.rollouts.canary.objects.filters import filters, response_header
from meshtest.rollouts.canary.objects.istio import SET_COOKIE
from meshtest.rollouts.canary.objects.origin import Json, Origin, filled, mapping
from meshtest.rollouts.canary.objects.services import route_metadata
from meshtest.rollouts.canary.spec import Canary
from meshtest.rollouts.canary.state import ALL_CANARY, ALL_PRIMARY, Routes, Status

GROUP = "gateway.networking.k8s.io"
KIND = f"{GROUP}/HTTPRoute"


def routed(canary: Canary, documents: Documents, routes: Routes, status: Status) -> list[Document]:
    return [HttpRoute(canary, documents).document(routes, status)]


class HttpRoute:
    def __init__(self, canary: Canary, documents: Documents) -> None:
        self.canary, self.service, self.documents = canary, canary.service, documents
        self.origin = Origin.of(canary, documents)
        self.old = next((one for one in documents.of(KIND) if _named(one, canary)), None)
        self.beta = canary.provider.endswith("v1beta1")
        self.matches = matches.of_service(canary, self.origin)

    def document(self, routes: Routes, status: Status) -> Document:
        rules = list(_reachable(self._rules(routes, status)))
        spec = {
            "parentRefs": list(self.service.gateway_refs),
            **filled(hostnames=list(self.service.hosts)),
            "rules": rules,
        }
        places: dict[Path, Path] = {
            ("spec", "parentRefs"): ("spec", "service", "gatewayRefs"),
            ("spec", "hostnames"): ("spec", "service", "hosts"),
            ("spec", "rules"): ("spec", "service"),
        }
        for index in range(len(rules)):
            places["spec", "rules", index, "matches"] = matches.SERVICE
        labels, annotations = route_metadata(self.canary, self.documents)
        kept = mapping(self.old.metadata.get("annotations")) if self.old else {}
        own = {**filled(labels=labels), "annotations": kept | annotations}
        api = f"{GROUP}/{'v1beta1' if self.beta else 'v1'}/HTTPRoute"
        return self.origin.made(api, self.service.name, {"metadata": own, "spec": spec}, places)

    def _rules(self, routes: Routes, status: Status) -> list[Json]:
        rules = [self._rule(routes)]
        if self.canary.analysis.affinity:
            rules = self._sticky(rules[0], affinity.after(status, self.canary, self.canary.analysis.affinity, routes))
        if self.canary.analysis.match:
            chosen = matches.merged(matches.of_analysis(self.canary), self.matches)
            others = self._rule(ALL_PRIMARY)
            rules = [{**rules[0], "matches": chosen}, *rules[1:], {**others, "backendRefs": others["backendRefs"][:1]}]
        return rules

    def _rule(self, routes: Routes) -> Json:
        found = filters(self.canary, cors=not self.beta)
        if routes.mirrored:
            found.append({"type": "RequestMirror", "requestMirror": {"backendRef": self._ref(self.service.canary)}})
        return {
            "matches": self.matches,
            **filled(filters=found),
            "backendRefs": self._split(routes),
            **filled(timeouts=self._timeouts()),
        }

    def _timeouts(self) -> Json:
        data = self.service.data
        return {} if self.beta else filled(request=data.get("timeout"), backendRequest=data.get("backendTimeout"))

    def _split(self, routes: Routes) -> list[Json]:
        shares = ((self.service.primary, routes.primary), (self.service.canary, routes.canary))
        return [{**self._ref(name), "weight": weight} for name, weight in shares]

    def _ref(self, name: str) -> Json:
        return {"group": "", "kind": "Service", "name": name, "port": self.service.port}

    # -- session affinity

    def _sticky(self, rule: Json, status: Status) -> list[Json]:
        """As in istio.py; the headers that take a cookie back are the rule's own here."""
        assert self.canary.analysis.affinity
        cookies = affinity.set_cookies(status, self.canary, self.canary.analysis.affinity)
        if not status.cookie:
            return self._taken_back(rule, status, cookies.get("previous", ""))
        primary, to_canary = rule["backendRefs"]
        to_canary |= {"filters": [response_header(SET_COOKIE, cookies["canary"])]}
        rules = [{**rule, "matches": self._held(status.cookie), "backendRefs": self._split(ALL_CANARY)}]
        if "primary" in cookies and not self.beta:
            primary |= {"filters": [response_header(SET_COOKIE, cookies["primary"])]}
            kept = self._held(status.primary_cookie)
            rules.append({**rule, "matches": kept, "backendRefs": self._split(ALL_PRIMARY)})
        return [*rules, rule]

    def _taken_back(self, rule: Json, status: Status, cookie: str) -> list[Json]:
        if not cookie:
            return [rule]  # Flagger writes it twice
        ended = [*rule.get("filters", ()), response_header(SET_COOKIE, cookie)]
        return [{**rule, "matches": self._held(status.previous_cookie), "filters": ended}, rule]

    def _held(self, cookie: str) -> list[Json]:
        return matches.with_cookie(self.canary, self.origin, cookie)


def _named(document: Document, canary: Canary) -> bool:
    return (document.namespace, document.name) == (canary.namespace, canary.service.name)


def _reachable(rules: list[Json]) -> Iterator[Json]:
    """Without those that come behind one with the same conditions."""
    seen: list[list[Json]] = []
    for rule in rules:
        if rule["matches"] not in seen:
            seen.append(rule["matches"])
            yield rule
