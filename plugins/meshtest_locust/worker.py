"""`python -m meshtest_locust.worker --master HOST:PORT`: one more worker for a load that runs elsewhere.

The locustfile comes from the master. Needs meshtest with its extra `locust`, and a way to the mesh's entrance: the
master's own word on that, or --entrance. Start as many as there are cores; they may come late and go early.
"""

from __future__ import annotations

import argparse
import sys

import locust  # before requests: it replaces the sockets of what is imported after it

from meshtest_locust.child import be_worker, prepare
from meshtest_locust.journal import Journal
from meshtest_locust.link import Link
from meshtest_locust.selftest import Dishonest

_TIMEOUT = 5.0
"""Seconds; a request that is cut by the end of the load after less proves nothing."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m meshtest_locust.worker", description="a worker for a Locust load")
    parser.add_argument("--version", action="version", version=f"Locust {locust.__version__}")
    parser.add_argument("--master", required=True, metavar="HOST:PORT", help="where the load runs")
    text = "where the mesh is entered from here (default: as the master says)"
    parser.add_argument("--entrance", default=":0", metavar="HOST:PORT", help=text)
    parser.add_argument("--locustfile", "-f", default="-", metavar="FILE", help="(default: the master's)")
    given = parser.parse_args()
    (host, port), entrance = _address(parser, given.master), _address(parser, given.entrance)
    link = Link(Journal("", _TIMEOUT), *entrance)
    try:
        prepare(link)
    except Dishonest as error:
        sys.exit(f"meshtest_locust: {error}")
    be_worker(link, None, ["-f", given.locustfile], host, port, None)


def _address(parser: argparse.ArgumentParser, text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not int(port) < 65536:
        parser.error(f"{text!r}: write HOST:PORT")
    return host, int(port)


if __name__ == "__main__":
    main()
