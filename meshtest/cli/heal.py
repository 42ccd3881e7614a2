"""`meshtest heal`: end what a killed run left behind."""

from __future__ import annotations

import argparse
import json

from meshtest.cli import OK
from meshtest.cli.options import add_json, add_settings, settings_of


def arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)
    add_settings(parser)


def go(arguments: argparse.Namespace) -> int:
    from meshtest.mesh import new_provider
    from meshtest.run import unfinished

    settings = settings_of(arguments).settings
    done = list(new_provider(settings).heal())
    cut_short = [str(path) for path in unfinished(settings.reports)]
    if arguments.json:
        print(json.dumps({"healed": done, "cut_short": cut_short}))
        return OK
    for sentence in done or ["nothing to heal"]:
        print(sentence)
    for path in cut_short:
        print(f"{path} was cut short; what it recorded is there: meshtest judge {path}")
    return OK
