"""Istio's own samples, unmodified: they stand up, and each traffic file does what it says.

client ──(as productpage, through its sidecar)──► reviews v1 | v2 | v3, ratings
client ──(ingress)──► productpage, helloworld
"""

from __future__ import annotations

from pathlib import Path

import pytest

from meshtest import Mesh, fault_bit, latency, no_downtime, reached, split

ERROR = 1e-6
"""Of each statistical check, so that the whole of them is right for thousands of runs."""


@pytest.fixture
def samples(corpora: Path) -> Path:
    return corpora / "istio" / "samples"


@pytest.fixture
def bookinfo(mesh: Mesh, samples: Path) -> Mesh:
    folder = samples / "bookinfo"
    networking = ("destination-rule-all", "bookinfo-gateway", "virtual-service-all-v1")
    mesh.apply(folder / "platform/kube/bookinfo.yaml", *(folder / f"networking/{name}.yaml" for name in networking))
    return mesh


SPLITS = {
    "all-v1": {"v1": 100},
    "reviews-80-20": {"v1": 80, "v2": 20},
    "reviews-50-v3": {"v1": 50, "v3": 50},
    "reviews-90-10": {"v1": 90, "v2": 10},
    "reviews-v3": {"v3": 100},
    "reviews-test-v2": {"v1": 100},
}
"""By file: what users who are nobody special get."""


MOVES = ("reviews-80-20", "reviews-50-v3", "reviews-90-10", "reviews-v3")


@pytest.mark.parametrize("name", [name for name in SPLITS if name not in MOVES])
def test_reviews_are_split_as_the_file_says(bookinfo: Mesh, samples: Path, name: str) -> None:
    bookinfo.apply(samples / f"bookinfo/networking/virtual-service-{name}.yaml")
    assert bookinfo["reviews"].shares == {version: float(share) for version, share in SPLITS[name].items()}
    bookinfo.load("GET http://reviews:9080/", source="productpage", rps=500, requests=900).run()
    bookinfo.verify(no_downtime(), split(host="reviews", weights=SPLITS[name], error=ERROR))


def test_reviews_move_from_v1_to_v3_as_the_files_say_without_a_lost_request(bookinfo: Mesh, samples: Path) -> None:
    with bookinfo.load("GET http://reviews:9080/", source="productpage", rps=500) as load:
        load.until(requests=200)  # what went before is judged as well
        for name in MOVES:
            with bookinfo.step(name):
                bookinfo.apply(samples / f"bookinfo/networking/virtual-service-{name}.yaml")
                assert bookinfo["reviews"].shares == {version: float(share) for version, share in SPLITS[name].items()}
                load.until(requests=800)
    bookinfo.verify(no_downtime(), split(host="reviews", error=ERROR))


def test_jason_gets_v2_and_everyone_else_v1(bookinfo: Mesh, samples: Path) -> None:
    bookinfo.apply(samples / "bookinfo/networking/virtual-service-reviews-test-v2.yaml")
    jason = {"end-user": "jason"}
    as_jason = bookinfo.load("GET http://reviews:9080/", source="productpage", headers=jason, rps=500, requests=200)
    assert as_jason.run().versions == {"v2"}
    anyone = bookinfo.load("GET http://reviews:9080/", source="productpage", rps=500, requests=200).run()
    assert anyone.versions == {"v1"}


def test_jasons_ratings_are_aborted_and_nobody_elses(bookinfo: Mesh, samples: Path) -> None:
    bookinfo.apply(samples / "bookinfo/networking/virtual-service-ratings-test-abort.yaml")
    anyone = bookinfo.load("GET http://ratings:9080/", source="reviews", rps=500, requests=200).run()
    bookinfo.verify(no_downtime())
    jason = {"end-user": "jason"}
    as_jason = bookinfo.load("GET http://ratings:9080/", source="reviews", headers=jason, rps=500, requests=200).run()
    assert anyone.failures == []
    assert {f.kind for f in as_jason.failures} == {"500 FI"}
    assert len(as_jason.failures) == 200


def test_jasons_ratings_take_seven_seconds_and_nobody_elses(bookinfo: Mesh, samples: Path) -> None:
    bookinfo.apply(samples / "bookinfo/networking/virtual-service-ratings-test-delay.yaml")
    jason, url = {"end-user": "jason"}, "GET http://ratings:9080/"
    as_jason = bookinfo.load(url, source="reviews", headers=jason, rps=500, requests=60, timeout=10)
    anyone = bookinfo.load(url, source="reviews", rps=500, requests=300)
    with as_jason, anyone:
        as_jason.wait_end(within=20)
        anyone.wait_end(within=20)
    # Envoy's timers count whole milliseconds from the time its event loop last looked at the clock
    assert min(r.latency or 0.0 for r in as_jason.requests) >= 6.99
    assert anyone.quantile(0.99) < 7.0
    bookinfo.verify(no_downtime())


def test_users_come_in_through_the_gateway_of_bookinfo(bookinfo: Mesh) -> None:
    url = "GET http://bookinfo.example/productpage"
    bookinfo.load(url, source="ingress", rps=500, requests=300).run()
    bookinfo.verify(no_downtime(), reached(host="productpage", exactly=("v1",)))
    unrouted = bookinfo.load("GET http://bookinfo.example/unknown", source="ingress", rps=500, requests=20).run()
    assert {f.kind for f in unrouted.failures} == {"404 NR"}


def test_helloworld_is_spread_over_both_versions(mesh: Mesh, samples: Path) -> None:
    mesh.apply(samples / "helloworld/helloworld.yaml", samples / "helloworld/helloworld-gateway.yaml")
    mesh.load("GET http://hello.example/hello", source="ingress", rps=1000, requests=300).run()
    mesh.verify(no_downtime(), reached(host="helloworld", exactly=("v1", "v2")), latency(p=0.5, below=1.0))
    assert fault_bit().judge(mesh.history()).outcome.name == "UNKNOWN"
