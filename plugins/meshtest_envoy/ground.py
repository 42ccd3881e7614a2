"""What a mesh stands on: a runtime folder, the supervisor, Envoy. They take 0.2 s to come up and need little of ours,
so they can be started first and waited for last, while the runner imports gRPC and the translation.

Not here: the control plane that Envoy asks (plane.py); until that listens, Envoy knocks (xds/bootstrap.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from meshtest_envoy import envoy
from meshtest_envoy.logs import LogSlice
from meshtest_envoy.pods.client import Supervisor
from meshtest_envoy.pods.runtime import make_runtime_dir
from meshtest_envoy.pods.spec import PodEvent
from meshtest_envoy.xds.bootstrap import bootstrap

ENVOY = "envoy"
"""Subject of Envoy's events."""
ADS, ADMIN = "ads.sock", "admin.sock"
"""In the runtime folder."""


class Ground:
    """Starting returns at once; `envoy_pid()` waits."""

    def __init__(self, configured: str, on_event: Callable[[PodEvent], None]) -> None:
        binary = envoy.binary(configured)
        self.runtime = make_runtime_dir()
        self.log = LogSlice(self.runtime / "envoy.log")
        self.supervisor = Supervisor(self.runtime, on_event)
        self.supervisor.start()
        command = envoy.command(binary, self._bootstrap())
        self.envoy_pid = self.supervisor.spawn_soon(ENVOY, command, log=self.log.path)
        """Returns when Envoy's process runs; ProviderError if it cannot."""

    def _bootstrap(self) -> Path:
        path = self.runtime / "bootstrap.json"
        path.write_text(json.dumps(bootstrap(node="meshtest", ads=self.runtime / ADS, admin=self.runtime / ADMIN)))
        return path

    def close(self) -> None:
        """All processes end, and the folder goes. Safe to call twice."""
        self.supervisor.close()
