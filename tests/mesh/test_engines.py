"""mesh.load with another generator than the prober: which is meant, what it is told, that its handle is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from meshtest import Mesh, Settings, UsageError
from meshtest.mesh import engines
from meshtest.run import Run
from meshtest.spi import registry
from meshtest.spi.load import Place, RecordedLoad, Summary
from meshtest.testing import FakeProvider
from tests.web import GATEWAY

from .conftest import WEB


class Recorder(RecordedLoad):
    """An engine that sends nothing and keeps what it was told."""

    def __init__(self, place: Place, **options: Any) -> None:
        super().__init__(place)
        self.options = options
        self._running = False

    def start(self) -> None:
        self.claim()
        self._running = True

    def stop(self) -> Summary:
        self._running = False
        return Summary(sent=0, fates={})

    @property
    def running(self) -> bool:
        return self._running

    def longest(self) -> float:
        return 1.0


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    """Loads that the engine "locust" was asked for."""
    loads: list[Recorder] = []

    def load(seam: str, name: str) -> Callable[..., Recorder]:
        assert (seam, name) == ("loads", "locust")
        return lambda place, **options: loads.append(Recorder(place, **options)) or loads[-1]  # type: ignore[func-returns-value]

    monkeypatch.setattr(registry, "load", load)
    return loads


@pytest.fixture
def mesh(settings: Settings, provider: FakeProvider) -> Mesh:
    mesh = Mesh(provider, Run("test", settings), settings)
    mesh.apply(text=WEB + "---\n" + GATEWAY)
    return mesh


def test_it_is_told_what_was_given_and_nothing_else(mesh: Mesh, made: list[Recorder]) -> None:
    mesh.load(locustfile="journeys.py", users=50, seconds=3, lanes=("fresh",))
    assert made[0].options == {"locustfile": "journeys.py", "users": 50, "seconds": 3, "lanes": ("fresh",)}
    assert made[0].name == "load1"


def test_its_handle_is_the_same(mesh: Mesh, made: list[Recorder]) -> None:
    with mesh.load(locustfile="journeys.py", name="shop") as load:
        assert load.sending
        assert load.name == "shop"
    assert load.summary == Summary(sent=0, fates={})


@pytest.mark.parametrize(
    ("options", "source"),
    [({}, "ingress"), ({"host": "http://web"}, ""), ({"host": "http://shop.example"}, "ingress"), ({"source": ""}, "")],
)
def test_it_enters_where_its_host_says(
    mesh: Mesh, made: list[Recorder], monkeypatch: pytest.MonkeyPatch, options: dict[str, str], source: str
) -> None:
    asked: list[str] = []
    entrance = mesh.provider.entrance
    monkeypatch.setattr(mesh.provider, "entrance", lambda name: asked.append(name) or entrance(name))  # type: ignore[func-returns-value]
    mesh.load(locustfile="journeys.py", **options)
    assert asked == [source]


@pytest.mark.parametrize(
    ("request_", "options", "says"),
    [
        ("", {}, r'mesh.load\(...\) takes a request \("GET http://web/"\) for the prober, or locustfile="FILE", k6='),
        ("", {"locustfil": "x"}, "no option 'locustfil' .did you mean 'locustfile'..; it takes a request"),
        ("GET http://web/", {"rsp": 4}, "no option 'rsp'; it takes"),
        ("GET http://web/", {"k6": "x.js"}, "a request and k6=: one load has one generator"),
        ("", {"k6": "x.js", "locustfile": "x.py"}, "locustfile= and k6="),
    ],
)
def test_what_is_not_clear_is_refused(mesh: Mesh, request_: str, options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        mesh.load(request_, **options)


def test_the_prober_alone_is_not_blamed_for_its_own_options(mesh: Mesh) -> None:
    with pytest.raises(UsageError, match=r"^mesh.load\(...\) takes a request"):
        mesh.load(rps=100, seconds=1)


def test_a_name_that_cannot_be_a_file_is_refused(mesh: Mesh, made: list[Recorder]) -> None:
    with pytest.raises(UsageError, match="load name 'a/b': letters, digits"):
        mesh.load(locustfile="journeys.py", name="a/b")


def test_an_engine_that_is_not_installed_is_named(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_found", lambda _: {})
    with pytest.raises(UsageError, match="no load 'locust'; installed: none"):
        mesh.load(locustfile="journeys.py")


def test_every_keyword_is_free_in_the_signature_of_load() -> None:
    assert not set(engines.KEYWORDS) & set(Mesh.load.__kwdefaults__ or {})
