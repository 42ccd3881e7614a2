"""The real Envoy with one worker that answers by itself, and its own count of what came in."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from meshtest_envoy.envoy import binary

from tests.bench.peers.machine import SERVER_CORE, on_core

_FLAGS = ("--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "--use-dynamic-base-id")
_SERVED_BY = {"header": {"key": "x-meshtest-served-by", "value": "web/v1/web-1"}}
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_COUNTER = "http.bench.downstream_rq_total"


class Front:
    """`port` answers every request with two bytes, and says who served it as a mesh's entry proxy does."""

    def __init__(self, folder: Path) -> None:
        self._admin_file = folder / "admin"
        self._log = (folder / "envoy.log").open("wb")
        command = [str(binary()), *_FLAGS, "--admin-address-path", str(self._admin_file)]
        with on_core(SERVER_CORE):
            self._process = subprocess.Popen(
                [*command, "--config-yaml", json.dumps(_config())], stdout=self._log, stderr=self._log
            )
        self._admin = self._wait()
        listeners = json.loads(self._get("/listeners?format=json"))
        self.port = int(listeners["listener_statuses"][0]["local_address"]["socket_address"]["port_value"])

    def _wait(self) -> str:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                address = self._admin_file.read_text()
                urllib.request.urlopen(f"http://{address}/ready", timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return address
        self.__exit__(None, None, None)
        raise RuntimeError(f"Envoy did not start; see {self._log.name}")

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self._admin}{path}", timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    @property
    def requests(self) -> int:
        """That it has counted."""
        line = self._get(f"/stats?filter=^{_COUNTER}$").strip()
        return int(line.rpartition(" ")[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


def _config() -> dict[str, Any]:
    answer = {"status": 200, "body": {"inline_string": "ok"}}
    route = {"match": {"prefix": "/"}, "direct_response": answer, "response_headers_to_add": [_SERVED_BY]}
    manager = {
        "@type": _MANAGER,
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": _ROUTER}}],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    listener = {"name": "bench", "address": _address(), "filter_chains": [chain], "enable_reuse_port": False}
    return {"admin": {"address": _address()}, "static_resources": {"listeners": [listener]}}


def _address() -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
