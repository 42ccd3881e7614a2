"""The public conformance suite of Gateway API against the real Envoy: plain HTTP, at gateways and in the mesh.

    client ──► gateway (a door of its own each) ──► infra-backend-v1 .. v3, web-backend, app-backend
    echo-v1 (through its sidecar) ──► echo, echo-v1, echo-v2

The base manifests stand once; those of each Go file are laid over them. Every case is also put to the pure oracle.
Upstream repeats a request until it is answered as expected; here the configuration is acknowledged, then each request
is sent once. Distributions are judged by one sample of a size that was fixed before, with an exact test.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from meshtest.lib.stats import binomial_test
from meshtest.manifests.reader import read_text
from meshtest.model.document import Documents
from tests.conformance import misses
from tests.conformance.cases import INFRA, MESH, PROTOCOLS, SAME, File, gateway_http, load, mesh_http
from tests.conformance.ground import Ground
from tests.conftest import corpora_folder

CORPUS = "gateway-api"
ERROR = 1e-6
"""Of each statistical test: a right implementation fails one run in a million."""
SAMPLE = 500
"""Requests; upstream's number, but drawn once."""
_numbers = itertools.count()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test a Go file; none where the corpus is absent (the fixture says so)."""
    if "file" in metafunc.fixturenames:
        folder = corpora_folder() / CORPUS
        files = load(folder) if folder.is_dir() else []
        chosen = mesh_http(files) if "mesh" in metafunc.function.__name__ else gateway_http(files)
        metafunc.parametrize("file", chosen, ids=lambda f: f.name)


def test_every_gateway_case_passes_through_envoy_and_by_the_oracle(ground: Ground, file: File) -> None:
    misses.judge(CORPUS, ground.run(file))


def test_every_mesh_case_passes_through_envoy_and_by_the_oracle(ground: Ground, file: File) -> None:
    misses.judge(CORPUS, ground.run(file))


# -- cases that upstream makes by code

RETRIES = [
    ("/retry/code-500-attempts-3", 500, 2, 200),
    ("/retry/code-500-attempts-3", 500, 4, 500),
    ("/retry/code-500-attempts-3", 503, 2, 503),
    *[("/retry/code-all-attempts-2", code, 1, 200) for code in (500, 502, 503, 504)],
    *[("/retry/code-all-attempts-2", code, 3, code) for code in (500, 502, 503, 504)],
]
"""httproute-retry.go: (path, status of the attempts that fail, how many of them, status in the end)."""


SERVICE_TYPES = ("/manual-endpointslices", "/headless-manual-endpointslices", "/headless")


def test_retries_end_as_upstreams_table_says(ground: Ground) -> None:
    ground.bring(ground.documents("tests/httproute-retry.yaml"))
    results: dict[str, list[str]] = {}
    for path, code, fails, wanted in RETRIES:
        query = f"responseCode={code}&succeedAfter={fails}&uuid={next(_numbers)}"
        status = ground.get(f"{path}?{query}", entrance=SAME).status
        results[f"httproute-retry {path} {code} x {fails}"] = [] if status == wanted else [f"{status}, not {wanted}"]
    misses.judge(CORPUS, results)
    ground.score["httproute-retry#0"] = []


def test_a_reference_ends_with_its_grant(ground: Ground) -> None:
    documents = ground.documents("tests/httproute-reference-grant.yaml")
    ground.bring(documents)
    granted = ground.get("/", entrance=SAME)
    kept = [d for d in documents if not (d.kind.endswith("/ReferenceGrant") and d.name == "reference-grant")]
    ground.bring(Documents(tuple(kept)))
    assert granted.status == 200
    assert granted.pod.startswith("web-backend")
    assert ground.get("/", entrance=SAME).status == 500
    ground.score |= {"httproute-reference-grant#0": [], "httproute-reference-grant#1": []}


SLICE = """\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: {service}-{pod}, namespace: {namespace}, labels: {{kubernetes.io/service-name: {service}}}}}
addressType: IPv4
ports: [{{name: first-port, port: {port}}}]
endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}}}]
---
"""


def test_services_of_every_type_are_reached(ground: Ground) -> None:
    """Upstream writes the addresses of the pods into the slices; here each pod has a port of its own."""
    documents = ground.documents("tests/httproute-service-types.yaml")
    ground.bring(documents)
    pods = ground.mesh.provider.pods(f"{INFRA}/infra-backend-v1")
    slices = "".join(
        SLICE.format(service=service, pod=number, namespace=INFRA, port=pod.ports[3000])
        for service in ("manual-endpointslices", "headless-manual-endpointslices")
        for number, pod in enumerate(pods)
    )
    ground.bring(documents.apply(read_text(slices)))
    answers = [ground.get(path, entrance=SAME) for path in SERVICE_TYPES]
    assert [(a.status, a.seen.get("service")) for a in answers] == [(200, "infra-backend-v1")] * 3
    ground.score["httproute-service-types#0"] = []


def test_every_mirror_gets_every_request(ground: Ground) -> None:
    for file, path, mirrors in (
        ("httproute-request-mirror", "/mirror", {"infra-backend-v2"}),
        ("httproute-request-multiple-mirrors", "/multi-mirror", {"infra-backend-v2", "infra-backend-v3"}),
    ):
        ground.bring(ground.documents(f"tests/{file}.yaml"))
        own = f"{path}?mirrored"
        for _ in range(10):
            assert ground.get(own, entrance=SAME).status == 200
        assert ground.inbound(own) == Counter(dict.fromkeys({"infra-backend-v1", *mirrors}, 10))


@pytest.mark.parametrize(
    ("path", "percent"),
    [("/percent-mirror", 20), ("/percent-mirror-fraction", 50), ("/percent-mirror-and-modify-headers", 35)],
)
def test_a_percentage_of_the_requests_is_mirrored(ground: Ground, path: str, percent: int) -> None:
    ground.bring(ground.documents("tests/httproute-request-percentage-mirror.yaml"))
    own = f"{path}?sample"
    for _ in range(SAMPLE):
        ground.get(own, entrance=SAME)
    seen = ground.inbound(own)
    assert seen["infra-backend-v1"] == SAMPLE
    assert binomial_test(seen["infra-backend-v2"], SAMPLE, percent / 100) > ERROR, seen


@pytest.mark.parametrize(
    ("manifest", "entrance", "host", "backends"),
    [
        ("tests/httproute-weight.yaml", SAME, "203.0.113.1", ("infra-backend-v1", "infra-backend-v2")),
        ("tests/mesh/httproute-weight.yaml", f"{MESH}/echo-v1", "echo", ("echo-v1", "echo-v2")),
    ],
)
def test_seven_of_ten_requests_go_to_the_first_backend(
    ground: Ground, manifest: str, entrance: str, host: str, backends: tuple[str, str]
) -> None:
    ground.bring(ground.documents(manifest))
    answers = [ground.get("/", entrance=entrance, host=host) for _ in range(SAMPLE)]
    seen = Counter(answer.seen["service" if entrance == SAME else "version"] for answer in answers)
    first = seen[backends[0]] or seen["v1"]
    assert sum(seen.values()) == SAMPLE
    assert len(seen) == 2, seen
    assert binomial_test(first, SAMPLE, 0.7) > ERROR, seen


def test_each_backend_gets_the_headers_of_its_own_filters(ground: Ground) -> None:
    ground.bring(ground.documents("tests/httproute-request-header-modifier-backend-weights.yaml"))
    answers = [ground.get("/", entrance=SAME) for _ in range(100)]
    assert {(a.seen["headers"]["backend"], a.seen["service"]) for a in answers} == {
        ("infra-backend-v1", "infra-backend-v1"),
        ("infra-backend-v2", "infra-backend-v2"),
    }


def test_no_case_is_left_out_without_a_word(ground: Ground, corpora: Path) -> None:
    """The last test: it speaks for a run of the whole file only."""
    files = [f for f in load(corpora / CORPUS) if not f.name.startswith(PROTOCOLS)]
    if not all(any(name.startswith(f"{f.name}#") for name in ground.score) for f in gateway_http(files)):
        pytest.skip("only a part of the suite was asked for")
    left = {c.name for f in files for c in f.cases if not c.entrance.endswith("/443")} - ground.score.keys()
    assert left <= misses.known(CORPUS).keys()
    assert sum(not wrong for wrong in ground.score.values()) >= 369
