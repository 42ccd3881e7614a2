"""The self-test: it sees a client that resends, and then no load is run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from meshtest.errors import LoadError

from .conftest import Bench

RESENDS = """
import locust
from geventhttpclient.connectionpool import ConnectionPool
from meshtest_locust import child

ConnectionPool.size = property(lambda pool: 3, lambda pool, size: None)  # as it is without us, and not to be changed
pipe = child.take_stdin()
child.Child(child.hear(pipe), child.Voice(), pipe).run()
"""


def test_a_client_that_resends_is_found_and_nothing_is_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if an update of geventhttpclient had taken away the way to switch its resends off."""
    script = bench.write(RESENDS, "resends.py")
    plain = subprocess.Popen

    def popen(command: list[str], **more: object) -> subprocess.Popen[bytes]:
        assert command == [sys.executable, "-P", "-m", "meshtest_locust.child"]
        return plain([sys.executable, str(script)], **more)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", popen)
    load = bench.load(1)
    with pytest.raises(LoadError) as caught:
        load.start()
    text = str(caught.value)
    assert "would not be honest and was not started: FastHttpSession hides failures: of 3 requests for /reset" in text
    assert "15 arrived" in text
    assert "geventhttpclient" in text.partition("known to be good:")[2]
    assert not list(bench.folder.glob("requests/*.bin"))
