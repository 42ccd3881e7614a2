"""`meshtest explain CALLER HOST METHOD PATH`: what happens to a request, and why, with file and line."""

from __future__ import annotations

import argparse
import json
from typing import Any

from meshtest.cli import FAILED, OK
from meshtest.cli.control import ask
from meshtest.cli.explaining import explained_of, sent, told_of
from meshtest.cli.options import add_json, add_pid
from meshtest.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "caller", help="a workload or service, `ingress[/PORT]`, `namespace/gateway`, or - for a client in the mesh"
    )
    parser.add_argument("host", help="as the caller names it, with the port where it is not 80: reviews:9080")
    parser.add_argument("method", nargs="?", default="GET")
    parser.add_argument("path", nargs="?", default="/")
    parser.add_argument("-H", "--header", action="append", default=[], metavar="NAME: VALUE")
    text = "manifests to explain (default: those of the `meshtest up` that is running)"
    parser.add_argument("-f", "--file", action="append", default=[], dest="files", metavar="FILE", help=text)
    add_pid(parser)
    parser.add_argument("--send", action="store_true", help="send it too, and compare; exit code 1 if they differ")
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    request = {
        "caller": "" if arguments.caller == "-" else arguments.caller,
        "host": arguments.host,
        "method": arguments.method,
        "path": arguments.path,
        "headers": headers(arguments.header),
    }
    if arguments.files:
        answer = from_files(arguments.files, send=arguments.send, **request)
    else:
        (answer,) = ask("explain", arguments.pid, send=arguments.send, **request)
    if arguments.json:
        print(json.dumps(answer["data"], indent=2))
    else:
        print("\n".join(answer["lines"]))
    return FAILED if answer["data"].get("differs") else OK


def headers(words: list[str]) -> dict[str, str]:
    """`["end-user: jason"]` -> {"end-user": "jason"}, as curl writes them."""
    found = {}
    for word in words:
        name, colon, value = word.partition(":")
        if not colon or not name.strip():
            raise UsageError(f"header {word!r}: write it as in -H 'end-user: jason'")
        found[name.strip()] = value.strip()
    return found


def from_files(files: list[str], *, send: bool, **request: Any) -> dict[str, Any]:
    """Nothing is started unless it is to be sent."""
    if send:
        from meshtest.mesh import open_mesh
        from meshtest.settings import Settings

        with open_mesh("explain", Settings()) as mesh:
            mesh.apply(*files)
            return sent(mesh, **request)
    from meshtest.manifests.compiler import compile_or_raise
    from meshtest.manifests.reader import read

    compiled = compile_or_raise(read(*files))
    return told_of(explained_of(compiled.topology, compiled.statuses, **request))
