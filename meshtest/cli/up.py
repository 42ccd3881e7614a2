"""`meshtest up FILES`: the mesh of your manifests, until Ctrl-C; other terminals act on it (shift, fault, load)."""

from __future__ import annotations

import argparse
import json
import threading
import time
from typing import TYPE_CHECKING

from meshtest.cli import INTERRUPTED, OK
from meshtest.cli.control import Server
from meshtest.cli.options import add_json, add_live, add_settings, pairs, settings_of
from meshtest.cli.terminal import Terminal
from meshtest.errors import UsageError

if TYPE_CHECKING:
    from meshtest.mesh import Mesh


def arguments(parser: argparse.ArgumentParser) -> None:
    text = "manifests as for `kubectl apply -f`: files, folders, globs, - for stdin"
    parser.add_argument("files", nargs="+", help=text)
    parser.add_argument(
        "--port", action="append", default=[], metavar="GATEWAY=HOST", help="host port of a gateway port, as 80=8080"
    )
    add_live(parser)
    add_json(parser)
    add_settings(parser)


def go(arguments: argparse.Namespace) -> int:
    from meshtest.mesh import open_mesh
    from meshtest.run.live import LivePage

    ports = {gateway: _port(host) for gateway, host in pairs(arguments.port, "--port").items()}
    settings = settings_of(arguments, **({"ingress_ports": ports} if ports else {})).settings
    with Terminal() as terminal, open_mesh("up", settings, command=_command(arguments)) as mesh:
        began = time.monotonic()
        mesh.apply(*arguments.files)
        took = time.monotonic() - began
        with Server(mesh) as server, LivePage(mesh.run.directory, arguments.live or 0) as page:
            if arguments.json:
                told = {"seconds": took, "control": str(server.path), "live": page.url}
                print(json.dumps(told | described(mesh)), flush=True)
            else:
                _tell(terminal, mesh, took, page.url)
            try:
                threading.Event().wait()
            except KeyboardInterrupt:
                if not arguments.json:
                    terminal.say("\ntaking everything down")
                return OK
    return INTERRUPTED


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UsageError(f"--port: {text!r} is no port of this host; write GATEWAY=HOST as in 80=8080")
    return int(text)


def _command(arguments: argparse.Namespace) -> str:
    import shlex

    return f"meshtest up {shlex.join(arguments.files)}"


def described(mesh: Mesh) -> dict[str, object]:
    told = dict(mesh.provider.describe())
    told["pods"] = [{**vars(pod), "ports": dict(pod.ports)} for pod in told["pods"]]
    told["services"] = {s.name: mesh[f"{s.name}.{s.namespace}"].shares for s in mesh.topology.services}
    return told | {"run": str(mesh.run.directory)}


def _tell(terminal: Terminal, mesh: Mesh, took: float, live: str) -> None:
    told = mesh.provider.describe()
    pods = told["pods"]
    stand_ins = sum(pod.stand_in for pod in pods)
    terminal.say(f"{len(mesh.topology.services)} services, {len(pods)} pods ({stand_ins} stand-ins) up in {took:.2f} s")
    for diagnostic in mesh.diagnostics:
        if diagnostic.severity > 0:
            terminal.say(f"  {diagnostic}")
    for port, url in told["ingress"].items():
        terminal.say(f"  gateway port {port:<6} curl {url}/")
    some = mesh.topology.services[0] if mesh.topology.services else None
    if some and some.ports:
        port = "" if some.ports[0].number == 80 else f":{some.ports[0].number}"
        terminal.say(f"  inside the mesh     curl -x {told['proxy']} http://{some.name}{port}/")
    for pod in pods:
        ports = ", ".join(f"{container} at {real}" for container, real in pod.ports.items())
        terminal.say(f"  {pod.name:<28} {pod.version:<10} pid {pod.pid:<8} {ports}")
    terminal.say(f"report, live: {live}")
    terminal.say("from another terminal: meshtest shift SERVICE v2=20, meshtest fault SERVICE --abort 503,")
    terminal.say("meshtest load URL")
    terminal.say("Ctrl-C takes all down")
