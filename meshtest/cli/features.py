"""`meshtest features`: what each installed provider declares that it can do."""

from __future__ import annotations

import argparse
import json

from meshtest.cli import OK
from meshtest.cli.options import add_json
from meshtest.model.feature import Feature
from meshtest.spi import registry


def arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def go(arguments: argparse.Namespace) -> int:
    declared = {name: registry.load("providers", name).features for name in registry.names("providers")}
    if arguments.json:
        print(json.dumps({name: sorted(features) for name, features in declared.items()}))
        return OK
    width = max(len(feature) for feature in Feature)
    print(f"{'feature':<{width}}  {'  '.join(declared)}")
    for feature in Feature:
        cells = (f"{'yes' if feature in features else '-':<{len(name)}}" for name, features in declared.items())
        print(f"{feature:<{width}}  {'  '.join(cells)}".rstrip())
    return OK
