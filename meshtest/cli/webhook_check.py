"""`meshtest webhook check URL`: somebody's hook, called in every way that may come, and what is wrong with it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from meshtest.cli import FAILED, OK, TROUBLE
from meshtest.cli.options import add_json, pairs
from meshtest.cli.webhook_call import TYPES, add_calling, as_data, seconds_of, told, url_of
from meshtest.lib.words import plural

if TYPE_CHECKING:
    from meshtest.webhook.check import Check, Checked

EPILOG = """\
The hook is really called, and does what it does: choose one that may be. The calls are about a canary and a revision
that exist nowhere (--name, --namespace, --checksum). --dry-run lists them and sends nothing.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("url", metavar="URL", help="as in the Canary's webhooks")
    parser.add_argument(
        "--type", action="append", choices=TYPES, metavar="TYPE", help=f"repeatable; default: {', '.join(TYPES)}"
    )
    parser.add_argument("--name", default="meshtest-check", help="of the Canary (default: %(default)s)")
    parser.add_argument("--namespace", default="meshtest-check", help="of the Canary (default: %(default)s)")
    parser.add_argument("--checksum", default="nothing", help="of the revision (default: %(default)s)")
    parser.add_argument("--interval", default="1m", metavar="T", help="of the Canary (default: %(default)s)")
    parser.add_argument("--well-formed", action="store_true", help="only calls that Flagger itself makes")
    parser.add_argument("--dry-run", action="store_true", help="list the calls, send nothing")
    add_calling(parser)
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    check = _check(arguments)
    if arguments.dry_run:
        return _listed(check)
    if not arguments.json:
        print(f"This really calls {_shown(check)}: {check.calls} times or more, as Flagger does.", flush=True)
    checked = []
    for one in check.run():
        checked.append(one)
        if not arguments.json:
            _tell(one)
    if arguments.json:
        print(json.dumps({"url": _shown(check), "cases": [_as_data(one) for one in checked]}, indent=2))
    else:
        _sum_up(checked)
    return _code(checked)


def _check(arguments: argparse.Namespace) -> Check:
    from meshtest.rollouts.canary.spec import HookType
    from meshtest.webhook.check import Check

    return Check(
        url=url_of(arguments),
        types=tuple(HookType(name) for name in arguments.type or TYPES),
        name=arguments.name,
        namespace=arguments.namespace,
        checksum=arguments.checksum,
        metadata=pairs(arguments.metadata, "--metadata"),
        timeout=seconds_of(arguments.timeout),
        retries=arguments.retries,
        insecure=arguments.disable_tls,
        interval=seconds_of(arguments.interval),
        bad=not arguments.well_formed,
    )


def _shown(check: Check) -> str:
    from meshtest.webhook.wire import redacted

    return redacted(check.url)


def _listed(check: Check) -> int:
    from meshtest.webhook.check import AT_ONCE, BAD, payload
    from meshtest.webhook.client import encoded

    for type in check.types:
        print(f"POST {_shown(check)} as {type}: {encoded(payload(check, type)).decode()}")
    print(f"then the first one again, {AT_ONCE} of it at once")
    if check.bad:
        print(f"then payloads that Flagger never sends ({', '.join(BAD)}), and a GET")
    return OK


def _tell(one: Checked) -> None:
    attempts = one.exchange.attempts
    last = told(attempts[-1]) if attempts else one.exchange.reason
    again = f", {len(attempts)} attempts" if len(attempts) > 1 else ""
    print(f"{one.case:28} {last}{again}\n{'':28} Flagger: {one.would}")
    for finding in one.findings:
        print(f"{'':28} {finding}")
    sys.stdout.flush()


def _sum_up(checked: list[Checked]) -> None:
    found = [finding for one in checked for finding in one.findings]
    counts = [plural(sum(one.weight == weight for one in found), weight) for weight in ("error", "warning")]
    print(f"{plural(len(checked), 'case')}: {', '.join(counts) if found else 'nothing is wrong'}")


def _as_data(one: Checked) -> dict[str, Any]:
    return {
        "case": one.case, "ok": one.exchange.ok, "would": one.would,
        "findings": [dataclasses.asdict(finding) for finding in one.findings], "call": as_data(one.exchange),
    }  # fmt: skip


def _code(checked: list[Checked]) -> int:
    """1: something is wrong; 3: nobody answers."""
    if not any(attempt.status for one in checked for attempt in one.exchange.attempts):
        return TROUBLE
    wrong = any(finding.weight == "error" for one in checked for finding in one.findings)
    return FAILED if wrong else OK
