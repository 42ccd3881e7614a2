"""For `meshtest doctor`: is everything there that this provider needs?"""

from __future__ import annotations

import subprocess

from meshtest.errors import ProviderError
from meshtest.settings import Settings
from meshtest_envoy import envoy
from meshtest_envoy.pods.runtime import roots


def examine(settings: Settings) -> list[tuple[str, str]]:
    """(what was looked at, what to do about it or "")"""
    return [_binary(settings), _descriptors(), _runtime()]


def _binary(settings: Settings) -> tuple[str, str]:
    try:
        path = envoy.binary(settings.envoy)
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    except ProviderError as error:
        return "Envoy", str(error)
    except (OSError, subprocess.SubprocessError) as error:
        return f"Envoy {path}", f"it does not run: {error}"
    return f"Envoy {said.partition('version:')[2].strip().split('/')[1]} ({path})", ""


def _descriptors() -> tuple[str, str]:
    from meshtest_envoy.ads.descriptors import pool

    try:
        pool()
    except ProviderError as error:
        return "Envoy API descriptors", str(error)
    return "Envoy API descriptors", ""


def _runtime() -> tuple[str, str]:
    where = " or ".join(map(str, roots()))
    return f"runtime folders below {where}", "" if roots() else "set TMPDIR to a short path"
