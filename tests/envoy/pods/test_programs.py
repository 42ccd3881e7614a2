"""Programs of users in place of an image."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from meshtest_envoy.pods import procs

from meshtest.errors import ProcessFailed
from meshtest.lib.wait import until
from meshtest.model.service import Handler, Probe

from .conftest import PATIENCE, Watched, Wire, zygotes

Connect = Callable[[int], Wire]

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin")
NGINX_CONF = """
worker_processes 2; pid {dir}/pid; error_log stderr; daemon %s;
events {}
http { access_log off; server { listen 127.0.0.1:{port}; location / { return 200 "nginx {version}"; } } }
"""


def test_pythons_http_server_serves_on_the_port_it_is_given(mesh: Watched, connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("hello")
    argv = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(tmp_path), "{port}")
    started = mesh.ready(argv=argv)
    assert connect(started.ports[8080]).get("/hello").rest().endswith(b"\r\n\r\nhello")
    mesh.supervisor.kill_pod("web-0")
    mesh.wait("web-0", "ready", nth=2)
    assert connect(started.ports[8080]).get("/hello").rest().endswith(b"\r\n\r\nhello"), "on the same port"


@pytest.fixture
def nginx(mesh: Watched) -> Callable[..., int]:
    if NGINX is None:
        pytest.skip("nginx is not installed")

    def start(daemon: str) -> int:
        conf = NGINX_CONF % daemon
        run = f"cat > {{dir}}/conf <<'E'\n{conf}\nE\n"
        last = "exec" if daemon == "off" else ""
        wait = "" if daemon == "off" else "; while :; do sleep 1; done"
        argv = ("sh", "-c", f"{run}{last} {NGINX} -e stderr -p {{dir}} -c {{dir}}/conf{wait}")
        return mesh.ready(argv=argv, readiness=Probe(handler=Handler(kind="http", port=8080))).ports[8080]

    return start


def workers(mesh: Watched) -> list[int]:
    quiet = zygotes(mesh)
    below = [one.pid for one in procs.descendants(mesh.supervisor.pid, procs.everyone())]
    return [pid for pid in below if pid not in quiet]


def test_nginx_and_its_workers_live_and_die_as_one_pod(
    mesh: Watched, nginx: Callable[..., int], connect: Connect
) -> None:
    assert connect(nginx("off")).get(connection="close").rest().endswith(b"nginx v1")
    until(lambda: len(workers(mesh)) == 3, within=PATIENCE, what=lambda: str(workers(mesh)))
    mesh.supervisor.stop_pod("web-0")
    assert mesh.wait("web-0", "exited").detail["code"] == 0
    until(lambda: workers(mesh) == [], within=PATIENCE, what=lambda: str(workers(mesh)))


def test_workers_do_not_outlive_their_killed_master(mesh: Watched, nginx: Callable[..., int]) -> None:
    nginx("off")
    until(lambda: len(workers(mesh)) == 3, within=PATIENCE, what=lambda: str(workers(mesh)))
    before = set(workers(mesh))
    master = mesh.wait("web-0", "started").detail["pid"]
    mesh.supervisor.signal(master, signal.SIGKILL)
    mesh.wait("web-0", "ready", nth=2)
    assert before.isdisjoint(workers(mesh))


def test_a_daemon_that_left_the_session_ends_with_its_pod(mesh: Watched, tmp_path: Path) -> None:
    script = (
        "import os, time\nif os.fork() == 0:\n  os.setsid()\n"
        f"  open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    )
    mesh.ready(argv=(sys.executable, "-I", "-S", "-c", script), ports=())
    pid = tmp_path / "pid"
    until(lambda: pid.exists() and pid.read_text() != "", within=PATIENCE, what=lambda: "no daemon")
    daemon = int(pid.read_text())
    mesh.supervisor.stop_pod("web-0", grace=0)
    mesh.wait("web-0", "exited")
    until(lambda: procs.stat(daemon) is None, within=PATIENCE, what=lambda: str(procs.stat(daemon)))


def test_what_a_program_is_told(mesh: Watched, tmp_path: Path) -> None:
    asks = "import json, os, sys, time; print(json.dumps([sys.argv[1:], dict(os.environ)]), flush=True); time.sleep(60)"
    argv = (
        sys.executable, "-I", "-S", "-c", asks,
        "{port}", "{port:admin}", "{port:8080}", "{pod}", "{version}", "{dir}", "{other}", '{"a": 1}',
    )  # fmt: skip
    env = {"PORT": "8080", "COLOR": "blue", "SERVICE_VERSION": "green"}
    ports = ((8080, "http"), (9090, "admin"))
    started = mesh.start(argv=argv, ports=ports, env=env, http_proxy="http://127.0.0.1:15001", namespace="shop")
    log = mesh.log("web-0")
    until(lambda: log.exists() and log.read_text().endswith("\n"), within=PATIENCE, what=lambda: "it does not run")
    told, environ = json.loads(log.read_text())
    first, admin = map(str, started.ports.values())
    scratch = mesh.supervisor.directory / "pods" / "web-0"
    assert told == [first, admin, first, "web-0", "v1", str(scratch), "{other}", '{"a": 1}']
    want = {
        "PORT": first, "PORT_8080": first, "PORT_HTTP": first, "PORT_9090": admin, "PORT_ADMIN": admin,
        "POD_NAME": "web-0", "POD_NAMESPACE": "shop", "SERVICE_VERSION": "green", "COLOR": "blue",
        "http_proxy": "http://127.0.0.1:15001", "HTTP_PROXY": "http://127.0.0.1:15001",
        "no_proxy": "127.0.0.1,localhost",
    }  # fmt: skip
    assert {name: environ.get(name) for name in want} == want
    assert scratch.is_dir()


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("no-such-program", "{port}"), r"cannot run \['no-such-program', '\d+'\]: no such file; give a program that"),
        (("/etc/passwd",), r"cannot run \['/etc/passwd'\]: permission denied"),
        (("x", "{port:grpc}"), r"command of pod web-0: no container port 'grpc'; the container declares 8080 \(http\)"),
        ((), "pod web-0: the command is empty"),
    ],
)
def test_a_program_that_cannot_run_is_told_at_once(mesh: Watched, argv: tuple[str, ...], says: str) -> None:
    with pytest.raises(ProcessFailed, match=says):
        mesh.start(argv=argv)
    mesh.ready("web-0")


def test_a_program_that_finds_its_address_in_use_gets_another(mesh: Watched, connect: Connect) -> None:
    # Binds without SO_REUSEADDR, so the port that is held for the pod is taken for it.
    serve = (
        "import socket, sys, time; s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen();"
        " c, _ = s.accept(); time.sleep(60)"
    )
    started = mesh.start(argv=(sys.executable, "-I", "-S", "-c", serve, "{port}"))
    ready = mesh.wait("web-0", "ready").detail
    exited = mesh.wait("web-0", "exited").detail
    assert (exited["reason"], exited["restart_in"]) == ("AddressInUse", 0.0)
    assert ready["ports"][8080] != started.ports[8080]
    connect(ready["ports"][8080])


def test_a_port_of_a_pod_is_given_to_nobody_else(mesh: Watched) -> None:
    started = mesh.start(argv=("sleep", "60"))
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", started.ports[8080]))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", started.ports[8080]))
