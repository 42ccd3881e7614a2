"""The fixture `mesh` in a real project, as a person would meet it: what passes, what fails and how that is told."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import signal
import sys
from pathlib import Path

from tests.conftest import Ground, run_folder_events, unhurried

AT_ONCE = 8.0
"""Seconds for what takes less than one on an idle machine, and is less than any time-out of ours."""

FAILING = """
import pytest
from meshtest import Mesh

pytestmark = pytest.mark.mesh_apply("web.yaml")

def test_good(mesh: Mesh):
    mesh.load("GET http://web/", rps=500, requests=20).run()
    assert mesh.verify().outcome.name == "PASS"

def test_bad(mesh: Mesh):
    mesh["web"].shift(v2=100)
    mesh.load("GET http://web/", rps=500, requests=100).run()
    mesh.verify()
"""


class TestFailure:
    def test_it_tells_verdict_table_sparkline_record_and_a_command_that_repeats_it(self, project: Ground) -> None:
        project.write("tests/test_web.py", FAILING.replace("web.yaml", "../web.yaml"))
        program = project.pytest("tests", "--mesh-seed=7")
        assert program.wait() == 1, program
        assert "1 failed, 1 passed" in program.out
        section = program.out.partition("- meshtest -")[2]
        assert re.search(r"^FAIL: no_downtime: \d+ of 100 failed in \d+ outages?", section, re.MULTILINE)
        assert re.search(r"^ +version +requests +share +failed +p50 +p99 +max$", section, re.MULTILINE)
        assert re.search(r"^ +web/v2 +100 +100 % +\d+ ", section, re.MULTILINE)
        assert re.search(r"^ +web/v2 +[▁▂▃▄▅▆▇█ ]+$", section, re.MULTILINE)
        (record,) = re.findall(r"^  record  (.+)$", section, re.MULTILINE)
        assert (project.folder / record / "verdict.json").is_file()
        (command,) = re.findall(r"^  repeat  (.+)$", section, re.MULTILINE)
        assert command == "pytest tests/test_web.py::test_bad --mesh-seed=7"

        again = project.pytest(*shlex.split(command)[1:])
        assert again.wait() == 1, again
        assert "1 failed in" in again.out
        assert "seed 7" in again.out
        failed = [_failures(run) for run in project.runs() if "test-bad" in run.name]
        assert len(failed) == 2
        assert failed[0], "v2 has failed some"
        assert failed[0] == failed[1], "the same seed makes the same choices"

    def test_the_shown_command_is_right_for_awkward_names(self, project: Ground) -> None:
        project.write(
            "test_web.py",
            "import pytest\n"
            "@pytest.mark.parametrize('what', ['a b', '$(x)'], ids=str)\n"
            "def test_it(mesh, what):\n"
            "    assert what == 'a b', 'no'\n",
        )
        program = project.pytest("--mesh-seed=3")
        assert program.wait(within=unhurried(AT_ONCE)) == 1, program
        (command,) = re.findall(r"^  repeat  (.+)$", program.out, re.MULTILINE)
        again = project.pytest(*shlex.split(command)[1:])
        assert again.wait(within=unhurried(AT_ONCE)) == 1, again
        assert "1 failed in" in again.out

    def test_last_failed_runs_just_that(self, project: Ground) -> None:
        project.write("test_web.py", FAILING)
        first = project.start(sys.executable, "-m", "pytest", "-q")
        assert first.wait() == 1
        again = project.start(sys.executable, "-m", "pytest", "-q", "--lf")
        assert again.wait() == 1
        assert "1 failed, 1 deselected" in again.out or "1 failed in" in again.out
        assert [run.name.rpartition("-test-")[2] for run in project.runs()] == ["good", "bad", "bad"]


def _failures(run: Path) -> list[str]:
    told = json.loads((run / "verdict.json").read_text())
    (figures,) = [f["figures"] for f in told["findings"] if f["check"] == "no_downtime"]
    return [failure["id"] for failure in figures["failures"]]


class TestSession:
    def test_tests_share_an_envoy_but_nothing_of_routes_faults_and_pods(self, project: Ground) -> None:
        project.write("empty.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nothing}\n")
        project.write(
            "test_web.py",
            "import os, pytest\n"
            "from pathlib import Path\n"
            "seen = []\n"
            "def envoy():\n"
            "    mine = os.environ['TMPDIR'].encode()\n"
            "    for p in Path('/proc').iterdir():\n"
            "        if p.name.isdigit():\n"
            "            try: words = (p / 'cmdline').read_bytes().split(b'\\0')\n"
            "            except OSError: continue\n"
            "            if len(words) > 2 and words[2].startswith(mine) and words[2].endswith(b'bootstrap.json'):\n"
            "                yield int(p.name)\n"
            "@pytest.mark.mesh_apply('web.yaml')\n"
            "def test_one(mesh):\n"
            "    seen.extend(envoy())\n"
            "    mesh['web'].shift(v2=100)\n"
            "    mesh.fault('web', abort=418).__enter__()\n"
            "    mesh.fault('web@v1', abort=418).__enter__()\n"
            "    load = mesh.load('GET http://web/', requests=5, rps=500).run()\n"
            "    assert {r.status for r in load.requests} == {418}\n"
            "    seen.extend(pod.pid for pod in mesh.provider.pods())\n"
            "def test_two(mesh):\n"
            "    assert list(envoy()) == seen[:1]\n"
            "    assert mesh.provider.pods() == []\n"
            "    assert mesh.topology.services == ()\n"
            "    assert not any(Path(f'/proc/{pid}').exists() for pid in seen[1:])\n"
            "@pytest.mark.mesh_apply('web.yaml')\n"
            "def test_three(mesh):\n"
            "    assert list(envoy()) == seen[:1]\n"
            "    load = mesh.load('GET http://web/', requests=20, rps=500).run()\n"
            "    assert load.failures == []\n"
            "    assert load.versions == {'v1'}\n"
            "    assert mesh['web'].shares == {'v1': 100}\n",
        )
        program = project.pytest("-q")
        assert program.wait() == 0, program
        assert "3 passed" in program.out

    def test_a_mesh_of_the_whole_session_applies_what_the_configuration_names(self, project: Ground) -> None:
        project.write("pytest.toml", "[pytest]\nstrict = true\nmesh_manifests = ['web.yaml']\n")
        project.write(
            "tests/test_web.py",
            "def test_one(mesh_session):\n"
            "    mesh_session['web'].shift(v1=100)\n"
            "def test_two(mesh_session, mesh):\n"
            "    assert mesh_session['web'].shares == {'v1': 100}\n"
            "    assert mesh['web'].versions == ['v1', 'v2'], 'and so does a mesh of its own'\n"
            "    assert mesh.provider is not mesh_session.provider\n",
        )
        program = project.pytest("-q", "-W", "error")
        assert program.wait() == 0, program

    def test_workers_have_their_own_mesh_and_the_same_seed(self, project: Ground) -> None:
        project.write(
            "test_web.py",
            "import os, pytest\n"
            "@pytest.mark.mesh_apply('web.yaml')\n"
            "@pytest.mark.parametrize('n', range(4))\n"
            "def test_web(mesh, n, worker_id):\n"
            "    load = mesh.load('GET http://web/', requests=20, rps=500, source='web').run()\n"
            "    mesh.verify()\n"
            "    mesh.record('note', worker_id, text=str(os.getpid()), ports=mesh.provider.describe()['proxies'])\n",
        )
        program = project.pytest("-n", "2", "-v")
        assert program.wait() == 0, program
        assert "4 passed" in program.out
        (seed,) = re.findall(r"^meshtest: provider envoy, seed (\d+)$", program.out, re.MULTILINE)
        told = [json.loads((run / "run.json").read_text()) for run in project.runs()]
        assert {run["seed"] for run in told} == {int(seed)}
        assert len({run["pid"] for run in told}) == 2
        notes = [e for run in project.runs() for e in run_folder_events(run) if e["kind"] == "note"]
        assert {note["subject"] for note in notes} == {"gw0", "gw1"}
        for (one, first), (other, second) in itertools.combinations(zip(told, notes, strict=True), 2):
            if one["pid"] != other["pid"] and other["started"] < one["ended"]:
                ports = [set(note["data"]["ports"].values()) for note in (first, second)]
                assert not ports[0] & ports[1], "two that were up together have no port in common"

    def test_ctrl_c_in_a_test_ends_it_in_order(self, project: Ground) -> None:
        project.write(
            "test_web.py",
            "import pytest\n"
            "@pytest.mark.mesh_apply('web.yaml')\n"
            "def test_web(mesh):\n"
            "    with mesh.load('GET http://web/', rps=500) as load:\n"
            "        load.until(requests=10)\n"
            "        mesh.record('note', 'under load')\n"
            "        load.until(requests=10**6)\n",
        )
        program = project.pytest("-q")
        program.until(lambda: any("under load" in _text(run) for run in project.runs()), "load")
        program.signal(signal.SIGINT)
        assert program.wait() == 2, program
        project.nothing_left()
        told = json.loads((project.runs()[0] / "run.json").read_text())
        assert told["ended"] is not None


def _text(run: Path) -> str:
    path = run / "events.jsonl"
    return path.read_text() if path.exists() else ""


class TestMarks:
    def test_strict_markers_know_all_three(self, project: Ground) -> None:
        project.write(
            "test_web.py",
            "import pytest\n"
            "@pytest.mark.mesh(start_timeout=5)\n"
            "@pytest.mark.mesh_apply('web.yaml')\n"
            "@pytest.mark.mesh_requires('weights')\n"
            "def test_web(mesh):\n"
            "    assert mesh.settings.start_timeout == 5\n",
        )
        program = project.pytest("-q", "--strict-markers", "-W", "error")
        assert program.wait() == 0, program

    def test_a_feature_the_provider_lacks_is_a_skip_with_a_reason(self, project: Ground) -> None:
        project.write(
            "test_web.py",
            "import pytest\n"
            "@pytest.mark.mesh_requires('weights', 'time-travel')\n"
            "def test_web(mesh):\n"
            "    raise AssertionError\n",
        )
        program = project.pytest("-ra")
        assert program.wait(within=unhurried(AT_ONCE)) == 0, program
        assert "provider 'envoy' lacks time-travel" in program.out
        assert "1 skipped" in program.out

    def test_manifests_are_found_beside_the_test_whatever_the_working_folder(self, project: Ground) -> None:
        (project.folder / "web.yaml").rename(project.write("deep/down/web.yaml", ""))
        project.write(
            "deep/down/test_web.py",
            "import pytest\n"
            "@pytest.mark.mesh_apply('*.yaml')\n"
            "def test_web(mesh):\n"
            "    assert mesh['web'].versions == ['v1', 'v2']\n",
        )
        program = project.pytest("-q")
        assert program.wait() == 0, program

    def test_a_manifest_that_is_not_there_is_one_clear_error(self, project: Ground) -> None:
        project.write(
            "test_web.py",
            "import pytest\n@pytest.mark.mesh_apply('wep.yaml')\ndef test_web(mesh):\n    pass\n",
        )
        program = project.pytest("-q")
        assert program.wait(within=unhurried(AT_ONCE)) == 1, program
        assert program.out.count("'wep.yaml' matches no file (searched in ") >= 1
        assert "1 error in" in program.out
        assert "during handling" not in program.out.lower()

    def test_a_mark_that_is_closer_adds_to_the_one_of_its_module(self, project: Ground) -> None:
        project.write(
            "more.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {name: more}\n"
            "spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n",
        )
        project.write(
            "test_web.py",
            "import pytest\n"
            "pytestmark = pytest.mark.mesh_apply('web.yaml')\n"
            "@pytest.mark.mesh_apply('more.yaml')\n"
            "def test_web(mesh):\n"
            "    assert [s.name for s in mesh.topology.services] == ['web', 'more']\n",
        )
        program = project.pytest("-q")
        assert program.wait() == 0, program
