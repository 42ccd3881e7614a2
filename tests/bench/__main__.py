"""`python -m tests.bench` lists the benchmarks; `python -m tests.bench NAME` runs one: the module of that name."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path


def names() -> list[str]:
    """Modules beside this one; packages are what they are made of."""
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    return sorted(m.name for m in found if not m.ispkg and not m.name.startswith("_"))


def _help(name: str) -> str:
    doc = importlib.import_module(f"tests.bench.{name}").__doc__ or ""
    return doc.strip().partition("\n")[0]


def main(arguments: list[str]) -> int:
    """Exit code 2 if there is no such benchmark."""
    known = names()
    if len(arguments) != 1 or arguments[0] not in known:
        print("usage: python -m tests.bench NAME\n" + "\n".join(f"  {name:<12} {_help(name)}" for name in known))
        return 0 if not arguments else 2
    importlib.import_module(f"tests.bench.{arguments[0]}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
