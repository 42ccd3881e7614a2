"""Programs of the user's that do not come up: which one, why, and what it said last."""

from __future__ import annotations

import time

from tests.conftest import Ground, elapsed, unhurried
from tests.web import SERVICE, deployment, joined


def up(ground: Ground, annotation: str) -> tuple[int, str]:
    ground.write("web.yaml", joined(SERVICE, deployment("v1", annotation)))
    program = ground.meshtest("up", "web.yaml", "--start-timeout=1")
    return program.wait(), program.err


def test_one_that_never_listens_is_given_up_with_its_last_words(ground: Ground) -> None:
    began = time.monotonic()
    code, said = up(ground, """meshtest.dev/command: 'sh -c "echo cannot reach the database; exec sleep 60"'""")
    assert code == 3, said
    assert "1 pod not ready after 1 s:\n  web-v1-0 (web.yaml:6)" in said
    assert "    | cannot reach the database" in said
    assert elapsed(began) < unhurried(10)
    ground.nothing_left()


def test_one_that_ends_at_once_is_quoted(ground: Ground) -> None:
    code, said = up(ground, """meshtest.dev/command: 'sh -c "echo no such table: users >&2; exit 7"'""")
    assert code == 3, said
    assert "web-v1-0" in said
    assert "no such table: users" in said
    assert "7" in said


def test_a_program_that_does_not_exist_is_named(ground: Ground) -> None:
    code, said = up(ground, "meshtest.dev/command: 'no-such-program --port {port}'")
    assert code == 3, said
    assert "no-such-program" in said
    assert "Traceback" not in said


def test_a_failed_replacement_leaves_the_old_version_serving(ground: Ground) -> None:
    ground.write("web.yaml", joined(SERVICE, deployment("v1")))
    broken = deployment("v1", """meshtest.dev/command: 'sh -c "echo broken; exec sleep 60"'""")
    ground.write("broken.yaml", broken)
    ground.write(
        "test_web.py",
        "import pytest\n"
        "from meshtest import ProviderError\n"
        "@pytest.mark.mesh(start_timeout=3)\n"
        "@pytest.mark.mesh_apply('web.yaml')\n"
        "def test_web(mesh):\n"
        "    with mesh.load('GET http://web/', rps=200) as load:\n"
        "        load.until(requests=20)\n"
        "        with pytest.raises(ProviderError, match='not ready after 3 s'):\n"
        "            mesh.apply('broken.yaml')\n"
        "        load.until(requests=20)\n"
        "    assert load.failures == []\n"
        "    assert len(mesh['web']['v1'].pods) == 1\n",
    )
    program = ground.pytest("-q", "-W", "error")
    assert program.wait() == 0, program
