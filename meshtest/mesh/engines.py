"""Load generators other than the prober: which one a call of `mesh.load` means, and how it is made.

    mesh.load(locustfile="journeys.py", users=50)     the plugin "locust", with locustfile= and users= as its options
    mesh.load(k6="script.js", vus=10)                 the plugin "k6"

The plugin is found by its entry point (group `meshtest.loads`) and checks its options itself; what comes back is a
RunningLoad, which a test holds by the same handle as the prober's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from meshtest.errors import UsageError
from meshtest.lib.words import nearest
from meshtest.spi import registry
from meshtest.spi.load import LoadEngine, Place, RunningLoad

KEYWORDS = {"locustfile": "locust", "k6": "k6"}
"""The option that calls for an engine, and the name of its entry point."""


def given(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Of a function's keyword arguments, those that are not what they would be had nobody said anything."""
    defaults: Mapping[str, Any] = getattr(function, "__kwdefaults__", None) or {}
    return {name: values[name] for name, default in defaults.items() if values[name] != default}


def chosen(request: object, options: Mapping[str, Any]) -> str:
    """The engine that is meant; UsageError if that is none, or more than one."""
    keywords = [name for name in KEYWORDS if name in options]
    if len(keywords) == 1 and not request:
        return KEYWORDS[keywords[0]]
    if keywords:
        several = " and ".join([*(["a request"] if request else []), *(f"{name}=" for name in keywords)])
        raise UsageError(f"mesh.load(...) was given {several}: one load has one generator; make a load of each")
    unknown = next(iter(options), "")
    hint = nearest(unknown, KEYWORDS)
    meant = f" (did you mean {hint!r}?)" if hint else ""
    what = f"mesh.load(...) has no option {unknown!r}{meant}; it" if unknown else "mesh.load(...)"
    ways = ", ".join(f'{name}="FILE"' for name in KEYWORDS)
    raise UsageError(f'{what} takes a request ("GET http://web/") for the prober, or {ways}')


def new_load(engine: str, place: Place, options: Mapping[str, Any]) -> RunningLoad:
    """A load of that engine that has not begun."""
    make: LoadEngine = registry.load("loads", engine)
    return make(place, **options)
