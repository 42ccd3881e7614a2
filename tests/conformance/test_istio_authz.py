"""Istio's own AuthorizationPolicy inputs and the RBAC they must become: 20 for HTTP, 7 for TCP.

Each case is held three ways. (a) Our RBAC is the golden one, field by field. (b) Requests are derived from each rule of
the golden RBAC; what it means for them, read by an oracle that knows nothing of our code, is what our decision function
says. (c) The real Envoy, with our RBAC, does that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from google.protobuf import json_format
from meshtest_envoy.ads.descriptors import message_class, pool
from meshtest_envoy.xds import rbac

from meshtest.manifests.compiler import compile
from meshtest.manifests.istio_security.decide import Facts, judge
from meshtest.manifests.istio_security.trust import aliases
from meshtest.manifests.reader import read
from meshtest.model.security import TRUST_DOMAIN, Authorization, Conditions, Rule
from tests.conformance import rbac_oracle as oracle
from tests.conformance.misses import tell
from tests.conformance.rbac_range import range_of

CASES = 27

TRUST_DOMAINS = {
    "http/simple-policy-multiple-td-aliases": ("td1", TRUST_DOMAIN, "some-td"),
    "http/simple-policy-td-aliases": ("td1", TRUST_DOMAIN),
    "http/simple-policy-principal-with-wildcard": ("td1", "foobar"),
    "http/td-aliases-source-principal": ("new-td", "old-td", "some-trustdomain"),
}
"""The mesh's trust domain and its aliases in upstream's test (builder_test.go); elsewhere cluster.local."""

UNKNOWN_PROVIDER = {"http/custom-simple-http": "http/custom-bad-out.yaml"}
"""With an authorizer that nobody configured, which is what every one is here."""

OLD_PROXIES = {"http/allow-host-before-111"}
"""The golden file is for proxies before 1.11: a regular expression in place of `ignore_case`. It means the same."""


@dataclass(frozen=True)
class Case:
    name: str
    policies: tuple[Authorization, ...]
    golden: tuple[Any, ...]
    trust_domains: Sequence[str]

    @property
    def tcp(self) -> bool:
        return self.name.startswith("tcp/")

    @property
    def made(self) -> list[Any]:
        return rbac.configs(self.policies, tcp=self.tcp, audit=True, trust_domains=self.trust_domains)

    @property
    def meant(self) -> tuple[Authorization, ...]:
        """The policies with principals under every name of the trust domain."""
        return tuple(replace(p, rules=tuple(self._rule(r) for r in p.rules)) for p in self.policies)

    def _rule(self, rule: Rule) -> Rule:
        sources = tuple(self._aliases(part) for part in rule.sources)
        return replace(rule, sources=sources, conditions=self._aliases(rule.conditions))

    def _aliases(self, conditions: Conditions) -> Conditions:
        return tuple(
            replace(
                c,
                values=aliases(c.values, self.trust_domains),
                not_values=aliases(c.not_values, self.trust_domains),
            )
            if c.key == "source.principal"
            else c
            for c in conditions
        )

    @property
    def requests(self) -> list[Facts]:
        found = oracle.requests(self.golden or [plain(c, tcp=self.tcp) for c in self.made])
        return [replace(f, remote_ip="") for f in found] if self.tcp else found


@cache
def cases(corpora: Path) -> dict[str, Case]:
    folder = corpora / "istio" / "authz"
    found = {}
    for path in sorted(folder.glob("*/*-in.yaml")):
        name = f"{path.parent.name}/{path.name.removesuffix('-in.yaml')}"
        policies = compile(read(str(path))).topology.authorizations
        domains = TRUST_DOMAINS.get(name, (TRUST_DOMAIN,))
        found[name] = Case(name, policies, tuple(golden(folder, name)), domains)
    return found


def golden(folder: Path, name: str) -> list[Any]:
    """The RBAC filters of the golden files, as protobuf's JSON."""
    other = UNKNOWN_PROVIDER.get(name)
    files = [folder / other] if other else sorted(folder.glob(f"{name}-out*.yaml"))
    filters = [yaml.safe_load(path.read_text()) for path in files]
    tcp = name.startswith("tcp/")
    return [unprovided(plain(f["typedConfig"], tcp=tcp)) for f in filters if f["name"].endswith(".rbac")]


def plain(config: Any, *, tcp: bool) -> Any:
    """As protobuf prints it, without what is the same everywhere."""
    kind = "network" if tcp else "http"
    message = message_class(f"envoy.extensions.filters.{kind}.rbac.v3.RBAC")()
    fields = {k: v for k, v in config.items() if k != "@type"}
    json_format.ParseDict(fields, message, descriptor_pool=pool())
    made = json_format.MessageToDict(message, descriptor_pool=pool())
    made.pop("statPrefix", None)
    return made


def unprovided(config: Any) -> Any:
    """CUSTOM rules for an authorizer that is known only mark requests for it; here nobody is, so they deny."""
    if config.get("shadowRulesStatPrefix") != "istio_ext_authz_":
        return config
    rules = config["shadowRules"]
    suffix = "-deny-due-to-bad-CUSTOM-action"
    return {"rules": {**rules, "policies": {name + suffix: p for name, p in rules["policies"].items()}}}


def differences(case: Case) -> str:
    """(a) and (b); "" if there are none."""
    made = [plain(config, tcp=case.tcp) for config in case.made]
    if case.golden and case.name not in OLD_PROXIES and ordered(made) != ordered(case.golden):
        return "our RBAC is another than the golden one"
    for facts in case.requests:
        wanted = oracle.allowed(case.golden or made, facts)
        decision = judge(case.meant, facts, tcp=case.tcp)
        if decision.allowed != wanted:
            return f"{facts} must be {'let in' if wanted else 'denied'}, but {decision.why}"
    return ""


def ordered(filters: Sequence[Any]) -> list[Any]:
    return sorted(filters, key=str)


def sendable(facts: Facts) -> bool:
    """HTTP/1.1 has no path without a slash, and no such host."""
    return facts.path.startswith("/") and "[" not in facts.host + facts.method


def test_every_input_becomes_its_golden_rbac_and_is_decided_so(corpora: Path) -> None:
    wrong = {name: found for name, case in cases(corpora).items() if (found := differences(case))}
    passed = len(cases(corpora)) - len(wrong)
    tell("istio authz", passed, CASES)
    assert wrong == {}
    assert passed == CASES


BOTH = "the caller's certificate would need two identities"
EXCLUDED = "it excludes `*`, that is everything"
UNMET = {
    "http/allow-full-rule ns[foo]-policy[httpbin-1]-rule[1]": EXCLUDED,
    "http/allow-host-before-111 ns[foo]-policy[httpbin-1]-rule[0]": EXCLUDED,
    "http/allow-nil-rule ns[foo]-policy[allow-none]-rule[0]": "a policy without rules never takes anything",
    "http/allow-path ns[foo]-policy[httpbin-1]-rule[0]": EXCLUDED,
    "http/single-policy ns[foo]-policy[httpbin]-rule[0]": BOTH,
    "http/single-policy ns[foo]-policy[httpbin]-rule[1]": BOTH,
    "tcp/audit-both-http-tcp ns[foo]-policy[httpbin-audit]-rule[0]": BOTH,
    "tcp/custom-both-http-tcp istio-ext-authz-default-ns[foo]-policy[httpbin-deny]-rule[5]"
    "-deny-due-to-bad-CUSTOM-action": "a connection has one source address, this wants two",
    "tcp/deny-both-http-tcp ns[foo]-policy[httpbin-deny]-rule[10]": BOTH,
}
"""Rules that no request can meet, by upstream's own making."""


def test_a_request_meets_every_rule_that_can_be_met(corpora: Path) -> None:
    """Otherwise the comparison would prove nothing."""
    unmet = {
        f"{case.name} {name}"
        for case in cases(corpora).values()
        for one in case.golden
        for name, policy in one.get("rules", {}).get("policies", {}).items()
        if not any(oracle.policy_takes(policy, facts) for facts in case.requests)
    }
    assert unmet == UNMET.keys()


def test_the_real_envoy_does_what_the_golden_rbac_means(corpora: Path, tmp_path: Path) -> None:
    known = cases(corpora)
    http = {name: case.made for name, case in known.items() if not case.tcp}
    tcp = {name: case.made for name, case in known.items() if case.tcp}
    wrong: dict[str, str] = {}
    sent = 0
    with range_of(tmp_path, http, tcp) as target:
        for name, case in known.items():
            meant = case.golden or [plain(c, tcp=True) for c in case.made]
            for facts in case.requests:
                if not case.tcp and not sendable(facts):
                    continue
                sent += 1
                wanted = oracle.allowed(meant, facts)
                seen = target.lets_in(name, facts) if case.tcp else target.status(name, facts)
                if seen != (wanted if case.tcp else 200 if wanted else 403):
                    wrong.setdefault(name, f"{facts}: Envoy says {seen}, wanted {wanted}")
    tell(f"istio authz on Envoy, {sent} requests", len(known) - len(wrong), CASES)
    assert wrong == {}
