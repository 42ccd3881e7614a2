"""Whatever the policies say: the RBAC we make of them means what the decision function says (Hypothesis)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from meshtest_envoy.xds import rbac

from meshtest.manifests.istio_security.decide import Facts, judge
from meshtest.model.security import Authorization, Condition, Rule, Scope
from tests.conformance import rbac_oracle as oracle
from tests.conformance.test_istio_authz import plain

WORDS = ["a", "a.b", "ab", "*", "a*", "*b", "A"]
IDENTITIES = ["", "cluster.local/ns/a/sa/b", "cluster.local/ns/ab/sa/a", "other/ns/a/sa/b/more"]
ADDRESSES = ["10.0.0.1", "10.0.0.0/8", "192.0.2.7/24", "::1"]
VALUES = {
    "source.principal": ["cluster.local/ns/a/sa/b", "*", "*/sa/b", "cluster.local/*"],
    "source.namespace": ["a", "ab", "a*", "*b", "*"],
    "source.serviceAccount": ["b", "a/b", "ab/a"],
    "source.trustDomain": ["cluster.local", "other", "*", "*.local", "oth*"],
    "source.ip": ADDRESSES,
    "remote.ip": ADDRESSES,
    "request.auth.principal": ["a/b", "a", "*", "a/*", "*/b", "a*", "*b"],
    "request.auth.audiences": WORDS,
    "request.auth.presenter": WORDS,
    "request.auth.claims[x][y]": WORDS,
    "request.headers[X-H]": WORDS,
    "request.headers[:method]": ["GET", "P*"],
}
OPERATIONS = {
    "request.host": WORDS,
    "request.method": ["GET", "P*", "*"],
    "request.path": ["/a", "/a/*", "*/b", "*", "/{*}/b", "/{**}"],
    "destination.port": ["80", "8080"],
}
CONDITIONS = {
    "destination.ip": ADDRESSES,
    "connection.sni": WORDS,
    "experimental.envoy.filters.f[k]": [*WORDS, "[a]", "[*b]"],
}


def condition(known: dict[str, list[str]]) -> st.SearchStrategy[Condition]:
    def made(key: str) -> st.SearchStrategy[Condition]:
        some = st.lists(st.sampled_from(known[key]), max_size=2, unique=True).map(tuple)
        pairs = st.tuples(some, some).filter(any)
        return pairs.map(lambda pair: Condition(key=key, values=pair[0], not_values=pair[1]))

    return st.sampled_from(sorted(known)).flatmap(made)


def parts(known: dict[str, list[str]]) -> st.SearchStrategy[tuple[tuple[Condition, ...], ...]]:
    one = st.lists(condition(known), min_size=1, max_size=2).map(tuple)
    return st.lists(one, max_size=2).map(tuple)


rules = st.builds(
    Rule,
    sources=parts({k: v for k, v in VALUES.items() if not k.endswith("]")}),
    operations=parts(OPERATIONS),
    conditions=st.lists(condition({**VALUES, **CONDITIONS, "destination.port": ["80"]}), max_size=2).map(tuple),
)
policies = st.lists(
    st.builds(
        Authorization,
        name=st.sampled_from(["p", "q", "r"]),
        scope=st.just(Scope(namespace="a")),
        action=st.sampled_from(["ALLOW", "DENY", "AUDIT", "CUSTOM"]),
        rules=st.lists(rules, max_size=2).map(tuple),
        dry_run=st.booleans(),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda policy: policy.name,
)
words = st.sampled_from(["a", "ab", "a.b", "b", "A", "aXb"])
claims = st.fixed_dictionaries(
    {},
    optional={
        "iss": words,
        "sub": words,
        "aud": st.one_of(words, st.lists(words, max_size=2)),
        "azp": words,
        "x": st.fixed_dictionaries({}, optional={"y": st.one_of(words, st.lists(words, max_size=2))}),
    },
)
facts = st.builds(
    Facts,
    identity=st.sampled_from(IDENTITIES),
    source_ip=st.sampled_from(["10.0.0.1", "192.0.2.9", "::1", ""]),
    remote_ip=st.sampled_from(["10.9.9.9", ""]),
    destination_ip=st.sampled_from(["10.0.0.1", "192.0.2.7", ""]),
    port=st.sampled_from([80, 8080, 1]),
    server_name=st.one_of(words, st.just("")),
    method=st.sampled_from(["GET", "PUT"]),
    host=words,
    path=st.sampled_from(["/", "/a", "/a/b", "/a/b?c=/d", "/x/y/b"]),
    headers=st.fixed_dictionaries({}, optional={"x-h": words}),
    claims=st.one_of(st.none(), claims),
    metadata=st.fixed_dictionaries({}, optional={"envoy.filters.f": st.fixed_dictionaries({"k": words})}),
)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(policies, st.lists(facts, min_size=1, max_size=4), st.booleans())
def test_the_filters_mean_what_the_decision_function_says(
    chosen: list[Authorization], requests: list[Facts], tcp: bool
) -> None:
    filters = [plain(config, tcp=tcp) for config in rbac.configs(chosen, tcp=tcp)]
    for asked in requests:
        assert judge(chosen, asked, tcp=tcp).allowed == oracle.allowed(filters, asked)
