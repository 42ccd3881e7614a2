"""A runner to be killed: starts a supervisor with pods, says who runs, and waits.

python runner.py DIRECTORY_FOR_LOGS
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

from meshtest_envoy.pods import procs
from meshtest_envoy.pods.client import Supervisor
from meshtest_envoy.pods.runtime import make_runtime_dir
from meshtest_envoy.pods.spec import PodEvent, PodSpec

FAMILY = """
import os, time
if os.fork() == 0:            # a worker
    if os.fork() == 0:        # a daemon that leaves the session
        os.setsid()
    time.sleep(600)
time.sleep(600)
"""


def main(logs: Path) -> None:
    ready = {name: threading.Event() for name in ("web-0", "web-1", "program-0")}

    def on_event(event: PodEvent) -> None:
        if event.kind == "ready":
            ready[event.pod].set()

    supervisor = Supervisor(make_runtime_dir(), on_event)
    supervisor.start()
    for name in ready:
        argv = (sys.executable, "-I", "-S", "-c", FAMILY) if name == "program-0" else None
        spec = PodSpec(name=name, workload="web", service="web", log=logs / f"{name}.log", argv=argv)
        supervisor.start_pod(spec)
    supervisor.spawn("helper", ["sleep", "600"], log=logs / "helper.log")
    for event in ready.values():
        event.wait(10)
    below: list[procs.Stat] = []
    while len(below) < 7:  # the zygote, two stand-ins, the helper, the program and its two descendants
        below = procs.descendants(supervisor.pid, procs.everyone())
    told = {"directory": str(supervisor.directory), "supervisor": supervisor.pid, "below": [one.pid for one in below]}
    print(json.dumps(told), flush=True)  # noqa: T201
    sys.stdin.read()
    supervisor.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
