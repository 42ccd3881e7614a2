"""Who hears what became of pods, when the mesh does not take it at once."""

from __future__ import annotations

import threading

import pytest
from meshtest_envoy import publisher
from meshtest_envoy.publisher import Publisher

from meshtest.errors import ProviderError
from tests.conftest import PATIENCE


def test_what_could_not_be_told_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "AGAIN", 0.0)
    told, done, complaints = [], threading.Event(), []

    def publish(pods: set[str]) -> None:
        told.append(pods)
        if len(told) < 3:
            raise ProviderError("no acknowledgement")
        done.set()

    tells = Publisher(publish, complaints.append)
    tells.start()
    tells.later("web-1", 0.0)
    assert done.wait(PATIENCE)
    tells.stop()
    assert (told, complaints, tells.failure) == ([{"web-1"}] * 3, ["no acknowledgement"], "")
