"""Charts as geometry: nothing lies on anything else, everything is inside, and what is counted is what was there."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from meshtest.model.history import Event
from meshtest.model.request import Fate
from meshtest.model.span import Span
from meshtest.reporters.html import page
from meshtest.reporters.html.canvas import NARROW, WIDE, Canvas, duration, fitted, log_ticks, nice, second, width
from meshtest.reporters.html.counts import cells, entry_counts
from meshtest.reporters.html.layers import Via, layered
from meshtest.reporters.html.material import Material, natural
from meshtest.reporters.html.waterfall import works
from tests.checks.histories import V1, V2, every, history, hop, mixed, request
from tests.reporters.html import samples
from tests.reporters.html.documents import Element, parsed


def charts(text: str) -> Iterator[tuple[Canvas, Element]]:
    root = parsed(text)
    for canvas in (WIDE, NARROW):
        for place in root.all("div", class_=canvas.key):
            yield from ((canvas, svg) for svg in place.all("svg", class_="chart"))


def boxes(svg: Element) -> list[tuple[float, float, float, float, str]]:
    """Of each text: left, right, top, bottom, what it says."""
    found = []
    for text in svg.all("text"):
        x, y = float(text.attributes["x"]), float(text.attributes["y"])
        size = 11 if "small" in text.attributes.get("class", "") else 12
        wide = width(text.own, size) * 0.93
        left = x - {"middle": wide / 2, "end": wide}.get(text.attributes.get("text-anchor", ""), 0)
        found.append((left, left + wide, y - size * 0.8, y + size * 0.15, text.own))
    return found


class TestLabels:
    @pytest.mark.parametrize("sample", samples.PLAIN, ids=lambda sample: sample.__name__)
    def test_never_lie_on_each_other(self, sample: samples.Sample) -> None:
        for canvas, svg in charts(samples.made(sample)):
            places = sorted(boxes(svg))
            for i, (_, right, top, bottom, text) in enumerate(places):
                for left, _, other_top, other_bottom, other in places[i + 1 :]:
                    overlap = left < right - 1 and top < other_bottom - 1 and other_top < bottom - 1
                    assert not overlap, f"{canvas.key}: {text!r} and {other!r}"

    @pytest.mark.parametrize("sample", samples.PLAIN, ids=lambda sample: sample.__name__)
    def test_stay_inside(self, sample: samples.Sample) -> None:
        for canvas, svg in charts(samples.made(sample)):
            _, _, wide, high = map(float, svg.attributes["viewbox"].split())
            assert wide >= canvas.width
            for left, right, top, bottom, text in boxes(svg):
                assert -8 <= left < right <= wide + 8, (canvas.key, text)
                assert -8 <= top < bottom <= high + 8, (canvas.key, text)

    def test_what_does_not_fit_is_cut_and_in_the_tooltip(self, tmp_path: Path) -> None:
        cut = [t for _, svg in charts(page(samples.hostile(tmp_path))) for t in svg.all("text") if t.own.endswith("…")]
        assert cut
        assert all(len(t.all("title")[0].text) > len(t.own) for t in cut if t.all("title"))

    def test_fitted_is_never_wider_than_its_room(self) -> None:
        for room in range(0, 200, 7):
            assert width(fitted("shift reviews v1=50 v2=50", room)) <= room
        assert fitted("a", 100) == "a"
        assert fitted("abcdef", 5) == ""


class TestAxes:
    @pytest.mark.parametrize(("low", "high"), [(0, 1), (0.913, 0.918), (-3, 7000), (0.001, 0.002)])
    def test_ticks_are_round_few_and_inside(self, low: float, high: float) -> None:
        ticks = nice(low, high, 6)
        assert 2 <= len(ticks) <= 7
        assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks)
        assert len({second(tick, ticks[1] - ticks[0]) for tick in ticks}) == len(ticks)

    def test_of_latency_are_powers_of_ten_or_between_them(self) -> None:
        assert [duration(v) for v in log_ticks(0.0008, 2.5)] == ["1 ms", "10 ms", "100 ms", "1 s"]
        assert [duration(v) for v in log_ticks(0.004, 0.05)] == ["5 ms", "10 ms", "20 ms", "50 ms"]

    def test_versions_are_sorted_as_people_count(self) -> None:
        assert sorted(["v10", "v2", "v1", "canary"], key=natural) == ["canary", "v1", "v2", "v10"]


class TestCounts:
    def test_every_request_is_in_one_column(self) -> None:
        material = Material(samples.cut())
        counts = entry_counts(material, 50)
        assert sum(counts.totals) == 400
        assert sum(counts.failed) == 10
        assert {name: sum(row) for name, row in counts.served.items()} == {"web/v1": 190, "web/v2": 200}
        assert {name: sum(row) for name, row in counts.versions.items()} == {"web/v1": 200, "web/v2": 200}

    def test_unsent_requests_are_no_failures(self) -> None:
        past = history([request(0, 0.0), request(1, 0.1, fate=Fate.NOT_SENT), request(2, 0.2, fate=Fate.RESET)])
        material = Material(samples.report(past))
        assert material.lost == [2]
        assert material.sent == 2

    def test_every_answer_is_in_one_cell_of_its_latency(self) -> None:
        draw = random.Random(1)
        took = [draw.uniform(0.001, 0.5) for _ in range(500)]
        past = history([request(i, i * 0.01, V2 if i % 5 == 0 else V1, latency=t) for i, t in enumerate(took)])
        found = cells(Material(samples.report(past)), 20, coarse=2)
        assert {name: count.total() for name, count in found.counts.items()} == {"web/v1": 400, "web/v2": 100}
        assert all(0 <= row < found.steps and 0 <= part < 20 for c in found.counts.values() for part, row in c)
        assert found.latency(0) <= min(took) < max(took) <= found.latency(found.steps)
        _, row = next(iter(found.counts["web/v2"]))
        inside = [t for i, t in enumerate(took) if i % 5 == 0 and found.latency(row) < t <= found.latency(row + 1)]
        assert inside

    def test_the_split_that_was_intended_is_drawn_where_it_was_in_force(self) -> None:
        root = parsed(page(samples.good()))
        line = root.all("path", class_="intended")[0].attributes["d"]
        places = [tuple(map(float, pair.split())) for pair in re.findall(r"[ML]([\d.]+ [\d.]+)", line)]
        assert places == sorted(places, key=lambda place: place[0])
        assert len({round(y) for _, y in places}) >= 2


class TestGraph:
    def test_callers_stand_before_those_they_call(self) -> None:
        edges = [("client", "web"), ("web", "a"), ("web", "b"), ("a", "c"), ("web", "c")]
        layout = layered(["client", "web", "a", "b", "c"], edges)
        assert [[slot for slot in row if isinstance(slot, str)] for row in layout.rows[:2]] == [["client"], ["web"]]
        depth = {slot: i for i, row in enumerate(layout.rows) for slot in row}
        assert all(depth[one] < depth[other] for one, other in edges)
        assert layout.ways["web", "c"][1] == Via("web", "c", 2)

    def test_circles_and_calls_to_oneself_are_drawn_too(self) -> None:
        layout = layered(["a", "b"], [("a", "b"), ("b", "a"), ("a", "a")])
        assert sorted(len(row) for row in layout.rows) == [1, 1]
        assert layout.ways["b", "a"] == ["b", "a"]

    def test_nothing_is_lost_whatever_the_graph(self) -> None:
        draw = random.Random(3)
        for _ in range(50):
            names = [f"n{i}" for i in range(draw.randrange(1, 12))]
            edges = list(dict.fromkeys((draw.choice(names), draw.choice(names)) for _ in range(20)))
            layout = layered(names, edges)
            assert sorted(slot for row in layout.rows for slot in row if isinstance(slot, str)) == sorted(names)
            depth = {slot: i for i, row in enumerate(layout.rows) for slot in row}
            for edge in edges:
                steps = [depth[slot] for slot in layout.ways[edge]]
                assert all(abs(b - a) <= 1 for a, b in pairwise(steps))


class TestWaterfall:
    def test_of_hops_is_nested_as_they_were(self) -> None:
        outer = hop(0, 0.010, V1, seconds=0.030)
        inner = hop(0, 0.012, V1, "inbound", seconds=0.025, proxy="web-v1-1")
        call = hop(0, 0.020, V2, seconds=0.005, proxy="default/web-v1", status=503, flags="UF")
        past = history([request(0, 0.0, latency=0.05)], hops=[call, inner, outer])
        material = Material(samples.report(past))
        rows, source = works(material, material.told(0))
        assert [(row.who, row.depth) for row in rows] == [("client", 0), ("client", 1), ("web-v1-1", 2), ("web-v1", 3)]
        assert (rows[3].failed, rows[3].what) == (True, "GET / → web/v2 503 UF")
        assert source == "From the access logs of the proxies."

    def test_of_spans_is_the_tree_of_its_trace(self) -> None:
        tag = {"x-meshtest-id": "load-0"}
        spans = [
            Span("t", "c", "b", "price", "GET /price", 0.02, 0.04, "server", "error", version="v2"),
            Span("t", "a", "", "gateway", "web", 0.0, 0.1, "server", attributes=tag),
            Span("t", "b", "a", "web", "GET /", 0.01, 0.09, "client", version="v1"),
            Span("other", "d", "", "web", "GET /", 0.0, 0.1),
        ]
        material = Material(samples.report(history([request(0, 0.0, latency=0.1)], spans=spans)))
        rows, source = works(material, material.told(0))
        assert [(row.who, row.depth, row.failed) for row in rows] == [
            ("client", 0, False), ("gateway", 1, False), ("web/v1", 2, False), ("price/v2", 3, True),
        ]  # fmt: skip
        assert source == "From 3 spans of its trace."

    def test_a_circle_of_spans_ends(self) -> None:
        tag = {"x-meshtest-id": "load-0"}
        spans = [Span("t", "a", "b", "web", "x", 0.0, 0.1, attributes=tag), Span("t", "b", "a", "web", "y", 0.0, 0.1)]
        material = Material(samples.report(history([request(0, 0.0)], spans=spans)))
        assert [row.what for row in works(material, material.told(0))[0][1:]] == ["x", "y"]

    def test_a_request_that_no_proxy_saw_is_said_to_be_one(self) -> None:
        material = Material(samples.lost())
        rows, source = works(material, material.told(0))
        assert [row.who for row in rows] == ["client"]
        assert source == "No proxy has written of it."


def test_a_shift_further_down_has_a_panel_and_rows_of_its_own() -> None:
    shares = {"reviews": {"v1": 50.0, "v2": 50.0}}
    events = [
        Event(0.0, "config.apply", data={"number": 1, "shares": shares}),
        Event(0.01, "config.ack", data={"number": 1}),
    ]
    reviews = [server.__class__("reviews", server.version, f"reviews-{server.version}") for server in mixed(50, 50)]
    hops = [hop(i, i * 0.01, server) for i, server in enumerate(reviews)]
    root = parsed(page(samples.report(history(every(0.01, [V1] * 100), events, hops))))
    rows = [row.all("th")[0].text for row in root.all("table")[0].all("tr")[1:]]
    assert rows == ["web/v1", "reviews/v1", "reviews/v2"]
    titles = [text.own for text in root.all("text", class_="strong")]
    assert {"web, requests/s", "reviews, requests/s"} <= set(titles)
