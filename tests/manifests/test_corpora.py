"""Istio's own samples and test data, as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest.errors import ManifestError
from meshtest.manifests.compiler import compile
from meshtest.manifests.hosts import gateway_hosts, mesh_hosts
from meshtest.manifests.reader import read
from meshtest.manifests.shares import shares
from meshtest.model.diagnostic import Severity
from meshtest.model.document import Documents
from meshtest.model.route import Door

REVIEWS = "reviews.default.svc.cluster.local"


@pytest.fixture
def samples(corpora: Path) -> Path:
    return corpora / "istio" / "samples"


@pytest.fixture
def bookinfo(samples: Path) -> Documents:
    return read("platform/kube/bookinfo.yaml", "networking/destination-rule-all.yaml", base=samples / "bookinfo")


def outcome(file: Path) -> list[str]:
    """What is wrong with a file; any other exception than ours is a bug."""
    try:
        return errors(read(str(file)))
    except ManifestError as error:
        return str(error).splitlines()


def errors(documents: Documents) -> list[str]:
    return [str(d) for d in compile(documents).diagnostics if d.severity is Severity.ERROR]


def test_every_manifest_of_istio_compiles(corpora: Path) -> None:
    files = [f for folder in ("samples", "config") for f in (corpora / "istio" / folder).rglob("*.yaml")]
    assert len(files) > 50
    for file in files:
        topology = compile(read(str(file))).topology
        mesh_hosts(topology, namespace="default", labels={})
        for port in {server.port for gateway in topology.gateways for server in gateway.servers}:
            gateway_hosts(topology, Door(port))


def test_analyzer_inputs_compile_or_say_why_not(corpora: Path) -> None:
    for file in (corpora / "istio" / "analyzers").rglob("*.yaml"):
        assert all(f"{file.name}:" in line for line in outcome(file))


@pytest.mark.parametrize("kind", ["samples/helloworld", "samples/httpbin"])
def test_small_samples_have_no_errors(corpora: Path, kind: str) -> None:
    for file in (corpora / "istio" / kind).glob("*.yaml"):
        assert [e for e in errors(read(str(file))) if "is no Service here" not in e] == []


def test_helloworld_is_served_at_its_gateway(samples: Path) -> None:
    documents = read("helloworld.yaml", "helloworld-gateway.yaml", base=samples / "helloworld")
    assert errors(documents) == []
    topology = compile(documents).topology
    assert shares(topology, "helloworld.default.svc.cluster.local") == {"v1": 50.0, "v2": 50.0}
    (port,) = {server.port for server in topology.gateways[0].servers}
    (host,) = gateway_hosts(topology, Door(port))
    assert host.domains == ("*",)


def test_bookinfo_has_no_errors_and_tells_of_subsets_that_select_nothing(bookinfo: Documents) -> None:
    notes = compile(bookinfo).diagnostics
    assert [d for d in notes if d.severity is Severity.ERROR] == []
    assert sorted(d.message.partition(" selects")[0] for d in notes if d.severity is Severity.WARNING) == [
        "subset `v2-mysql-vm` of `ratings`",
        "subset `v2-mysql` of `ratings`",
        "subset `v2` of `details`",
        "subset `v2` of `ratings`",
    ]


def test_a_virtual_service_before_its_destination_rule_is_an_error(samples: Path) -> None:
    documents = read(
        "platform/kube/bookinfo.yaml", "networking/virtual-service-reviews-v3.yaml", base=samples / "bookinfo"
    )
    (message,) = errors(documents)
    assert message.endswith(
        "virtual-service-reviews-v3.yaml:10: error: service `reviews` has no subset `v3`; no DestinationRule defines "
        "any [unknown-subset]"
    )


@pytest.mark.parametrize(
    ("file", "split"),
    [
        ("virtual-service-reviews-v3.yaml", {"v3": 100.0}),
        ("virtual-service-reviews-50-v3.yaml", {"v1": 50.0, "v3": 50.0}),
        ("virtual-service-reviews-90-10.yaml", {"v1": 90.0, "v2": 10.0}),
        ("virtual-service-reviews-80-20.yaml", {"v1": 80.0, "v2": 20.0}),
        ("virtual-service-reviews-test-v2.yaml", {"v1": 100.0}),
        ("virtual-service-reviews-jason-v2-v3.yaml", {"v3": 100.0}),
        ("virtual-service-all-v1.yaml", {"v1": 100.0}),
        ("bookinfo-gateway.yaml", {"v1": 100 / 3, "v2": 100 / 3, "v3": 100 / 3}),
    ],
)
def test_the_intended_split_of_bookinfo(samples: Path, bookinfo: Documents, file: str, split: dict[str, float]) -> None:
    documents = bookinfo.apply(read(f"networking/{file}", base=samples / "bookinfo"))
    assert errors(documents) == []
    assert shares(compile(documents).topology, REVIEWS) == pytest.approx(split)
