"""`meshtest webhook serve --suites DIR`: the endpoint, until SIGTERM."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from meshtest.cli import OK
from meshtest.errors import UsageError

if TYPE_CHECKING:
    import ssl

    from meshtest.webhook.auth import Guard
    from meshtest.webhook.endpoint import Endpoint
    from meshtest.webhook.renewal import Renewed
    from meshtest.webhook.runs import StoredRun
    from meshtest.webhook.server import Tls

EPILOG = """\
A suite is a folder in DIR with test_*.py, and a suite.yaml that declares its parameters. Flagger calls
http://HOST:PORT/hooks/TYPE/SUITE, Argo /argo/SUITE, people open / and call /gate/open. Without --token-file and
--hmac-key-file everybody who reaches the address may ask. The files of tokens, keys and certificates are read anew when
they change.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("--suites", type=Path, required=True, metavar="DIR", help="what can be run, by name")
    parser.add_argument(
        "--listen", default="127.0.0.1:8080", metavar="ADDR",
        help="HOST:PORT, :0 for any port, unix:PATH (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--state", type=Path, default=Path("webhook-state"), metavar="DIR",
        help="runs, verdicts and gates; on a local disk (default ./%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--url", metavar="URL", help="how others reach it, for links (default: the address it listens on)"
    )
    parser.add_argument("--tethered", action="store_true", help="end when stdin does, as with whoever started it")
    _admission(parser.add_argument_group("who may ask"))
    _limits(parser.add_argument_group("limits"))
    _keeping(parser.add_argument_group("what is kept"))


def _admission(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--token-file", type=Path, metavar="FILE", help="tokens, one a line: Bearer, or a password")
    group.add_argument(
        "--hmac-key-file", type=Path, metavar="FILE", help="key of signatures that are good for one hook"
    )
    group.add_argument("--tls-cert", type=Path, metavar="FILE", help="PEM, with its chain")
    group.add_argument("--tls-key", type=Path, metavar="FILE", help="PEM (default: it is in --tls-cert)")
    group.add_argument("--client-ca", type=Path, metavar="FILE", help="only clients with a certificate of this (mTLS)")
    group.add_argument(
        "--namespace", action="append", default=[], metavar="REGEX",
        help="canaries of this namespace only; it must match the whole name (repeatable)",
    )  # fmt: skip


def _limits(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--workers", type=_count, default=4, metavar="N", help="runs at the same time (%(default)s)")
    group.add_argument("--queue", type=_count, default=100, metavar="N", help="runs that may wait (%(default)s)")
    group.add_argument(
        "--body-limit", type=_count, default=256 * 1024, metavar="BYTES", help="of a request (%(default)s)"
    )
    group.add_argument(
        "--header-timeout", type=_seconds, default=10.0, metavar="S",
        help="for the head of a request, and again for its body (%(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--drain",
        type=_seconds,
        default=30.0,
        metavar="S",
        help="for what runs at SIGTERM; then it is ended (%(default)s)",
    )
    group.add_argument(
        "--grace", type=_seconds, default=10.0, metavar="S",
        help="from a run's signal to SIGKILL: cancelled, over its time, or not over after --drain (%(default)s)",
    )  # fmt: skip


def _keeping(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--keep-runs", type=_count, default=1000, metavar="N",
        help="the newest, with their reports; those of a canary's latest revision stay besides (%(default)s)",
    )  # fmt: skip
    group.add_argument("--keep-days", type=_count, default=30, metavar="N", help="and none for longer (%(default)s)")
    group.add_argument(
        "--output-limit", type=_count, default=4 * 1024 * 1024, metavar="BYTES",
        help="of a run's output; of more, the beginning and the end are kept (%(default)s)",
    )  # fmt: skip


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (seconds := float(text)) < 1e6:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r} are no seconds, such as 30 or 0.5")


def go(arguments: argparse.Namespace) -> int:
    _needs_packages()
    from meshtest.webhook import server

    guard, tls = _guard(arguments), _tls(arguments)
    secured = server.context(tls) if tls else None
    with contextlib.ExitStack() as open_, _log():
        bound = server.listening(arguments.listen)
        open_.callback(bound.close)
        here = server.url_of(bound, secured is not None)
        endpoint = open_.enter_context(_endpoint(arguments, guard, here))
        if arguments.tethered:
            _end_with_stdin()
        renewed = tuple(_renewed(arguments, endpoint, tls, secured))
        serving = server.Serving(drain=arguments.drain, header_timeout=arguments.header_timeout, renewed=renewed)
        server.serve(endpoint, bound, serving, secured, lambda: _ready(endpoint, here))
    return OK


def _end_with_stdin() -> None:
    def listen() -> None:
        while os.read(0, 4096):  # sys.stdin has a lock, which must not be held when the interpreter ends
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=listen, daemon=True).start()


def _needs_packages() -> None:
    missing = [name for name in ("starlette", "uvicorn", "httptools") if find_spec(name) is None]
    if missing:
        raise UsageError(f"the endpoint needs {', '.join(missing)}: pip install 'meshtest[webhook]'")


def _guard(arguments: argparse.Namespace) -> Guard:
    from meshtest.webhook import auth

    return auth.guard(arguments.token_file, arguments.hmac_key_file, arguments.namespace)


def _tls(arguments: argparse.Namespace) -> Tls | None:
    from meshtest.webhook.server import Tls

    if arguments.tls_cert:
        return Tls(certificate=arguments.tls_cert, key=arguments.tls_key, client_ca=arguments.client_ca)
    if arguments.tls_key or arguments.client_ca:
        raise UsageError("--tls-key and --client-ca need --tls-cert")
    return None


def _renewed(
    arguments: argparse.Namespace, endpoint: Endpoint, tls: Tls | None, secured: ssl.SSLContext | None
) -> Iterator[Renewed]:
    """Tokens and certificates do not live for as long as an endpoint does."""
    from meshtest.webhook import server
    from meshtest.webhook.renewal import Renewed

    def admit() -> None:
        endpoint.guard = _guard(arguments)

    yield Renewed([arguments.token_file, arguments.hmac_key_file], admit)
    if tls and secured:

        def secure() -> None:
            server.context(tls)  # that all of it can be read, before any of it is in force
            server.load(secured, tls)

        yield Renewed([tls.certificate, tls.key, tls.client_ca], secure)


@contextlib.contextmanager
def _endpoint(arguments: argparse.Namespace, guard: Guard, here: str) -> Iterator[Endpoint]:
    """With its store and its queue, which a crash may have left something in."""
    from meshtest.webhook.endpoint import Endpoint
    from meshtest.webhook.jobs import Jobs, Limits
    from meshtest.webhook.store import Store
    from meshtest.webhook.suites import load_suites

    suites = load_suites(arguments.suites)
    limits = Limits(
        workers=arguments.workers, queue=arguments.queue, grace=arguments.grace, output=arguments.output_limit,
        keep=arguments.keep_runs, days=arguments.keep_days,
    )  # fmt: skip
    with contextlib.closing(Store(arguments.state)) as store:
        jobs = Jobs(store, suites, arguments.state, limits)
        try:
            jobs.subscribe(_told)
            jobs.start()
            url = (arguments.url or here).rstrip("/")
            yield Endpoint(
                store, jobs, suites, limits=limits, guard=guard, body_limit=arguments.body_limit, url=url
            )  # fmt: skip
        finally:
            jobs.close()


def _ready(endpoint: Endpoint, here: str) -> None:
    """The line that others wait for."""
    open_ = " (anybody may ask: no --token-file, no --hmac-key-file)" if endpoint.guard.is_open else ""
    print(f"listening on {here}, suites: {', '.join(sorted(endpoint.suites))}{open_}", flush=True)


@contextlib.contextmanager
def _log() -> Iterator[None]:
    """On stderr: what becomes of runs, and trouble. Never a request: its address may hold a credential."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    log = logging.getLogger("meshtest.webhook")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # it tells of each unreadable request
    try:
        yield
    finally:
        log.removeHandler(handler)


def _told(run: StoredRun) -> None:
    namespace, canary, revision, suite = run.key
    why = f": {run.reason}" if run.reason else ""
    logging.getLogger("meshtest.webhook").info(
        "run %s %s, suite %s of %s/%s for %s%s", run.id, run.state, suite, namespace, canary, revision, why
    )
