"""Brings pods to what is wanted while nobody waits for them: what the Deployment controller is to `kubectl apply`.

One thread, started by the first that wants something; it takes a step whenever a pod has changed. Not here: which pods
may start or stop now (rollout.py).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

from meshtest.errors import ProviderError
from meshtest.model.topology import Topology
from meshtest_envoy.fleet import Fleet

AGAIN = 1.0
"""Seconds until a pod that could not be started is tried again, if nothing happens before."""


class Background:
    """`changing` is held at each step, so that whoever changes what is wanted is never in the middle of one."""

    def __init__(
        self,
        fleet: Fleet,
        changing: threading.RLock,
        step: Callable[[Topology, Executor], None],
        record: Callable[..., None],
    ) -> None:
        self._fleet, self._changing, self._step, self._record = fleet, changing, step, record
        self._wanted: Topology | None = None
        self._stopped = False
        self._trouble = ""
        self._thread = threading.Thread(target=self._run, name="deployments", daemon=True)

    def want(self, topology: Topology) -> None:
        """From now on this."""
        with self._changing:
            self._wanted, self._trouble = topology, ""
            if self._thread.ident is None:
                self._thread.start()
        self._fleet.wake()

    def rest(self) -> None:
        """Nothing: somebody else sees to the pods."""
        with self._changing:
            self._wanted = None

    def stop(self) -> None:
        """Safe to call twice; not to be called by who holds `changing`."""
        with self._changing:
            self._stopped = True
        self._fleet.wake()
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        with ThreadPoolExecutor(8, thread_name_prefix="start-pod") as starters:
            while True:
                seen = self._fleet.changes
                with self._changing:
                    if self._stopped:
                        return
                    if self._wanted is not None:
                        self._take_step(self._wanted, starters)
                self._fleet.wait_past(seen, AGAIN)

    def _take_step(self, wanted: Topology, starters: Executor) -> None:
        """A pod that cannot be started is told once, and tried again."""
        try:
            self._step(wanted, starters)
        except ProviderError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._record("note", text=f"a pod could not be started: {error}")
