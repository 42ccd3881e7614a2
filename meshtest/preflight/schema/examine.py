"""Walk a value along its shape. Messages are worded as the API server words them, so that people can look them up."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from meshtest.model.document import Path
from meshtest.preflight.schema.predicates import Unreadable
from meshtest.preflight.schema.shapes import Shape

Found = Iterator[tuple[Path, str]]
PYTHON = {"object": dict, "array": list, "string": str, "boolean": bool}


def examine(shape: Shape, value: Any, path: Path = ()) -> Found:
    """Every violation below a value. One of the wrong type is not looked into."""
    if not _has_type(shape.type, value):
        yield path, f'{shown(path)} in body must be of type {shape.type}: "{_type(value)}"'
        return
    yield from _limits(shape, value, path)
    if isinstance(value, dict):
        yield from _object(shape, value, path)
    elif isinstance(value, list):
        yield from _list(shape, value, path)
    for fine, message in shape.rules:
        try:
            if not fine(value):
                yield path, f'{shown(path)}: Invalid value: "{shape.type}": {message}'
        except Unreadable as error:
            yield path, f'{shown(path)}: Invalid value: "{shape.type}": {error}'


def shown(path: Path) -> str:
    """`spec.http[0].route`"""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _has_type(wanted: str, value: Any) -> bool:
    match wanted:
        case "":
            return True
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, PYTHON[wanted])


def _type(value: Any) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")


def _object(shape: Shape, value: dict[str, Any], path: Path) -> Found:
    for name in shape.required:
        if name not in value:
            yield path, f"{shown((*path, name))}: Required value"
    for name, item in value.items():
        below = shape.fields.get(name, shape.each)
        if below is not None:
            yield from examine(below, item, (*path, name))


def _list(shape: Shape, value: list[Any], path: Path) -> Found:
    seen: set[str] = set()
    for index, item in enumerate(value):
        if shape.each is not None:
            yield from examine(shape.each, item, (*path, index))
        if shape.keys and isinstance(item, dict):
            key = json.dumps({name: item.get(name) for name in shape.keys}, default=str)
            if key in seen:
                yield (*path, index), f"{shown((*path, index))}: Duplicate value: {key}"
            seen.add(key)


def _limits(shape: Shape, value: Any, path: Path) -> Found:
    if shape.words and value not in shape.words:
        allowed = ", ".join(f'"{word}"' for word in shape.words)
        yield path, f'{shown(path)}: Unsupported value: "{value}": supported values: {allowed}'
    if shape.pattern and not re.search(shape.pattern, value):
        name = shown(path)
        yield path, f"{name}: Invalid value: {json.dumps(value)}: {name} in body should match '{shape.pattern}'"
    if isinstance(value, int | float):
        yield from _between(shape, value, path)
    elif isinstance(value, str | list | dict):
        yield from _long(shape, len(value), path)


def _between(shape: Shape, value: float, path: Path) -> Found:
    wrong = ""
    if shape.least is not None and value < shape.least:
        wrong = f"greater than or equal to {shape.least:g}"
    elif shape.most is not None and value > shape.most:
        wrong = f"less than or equal to {shape.most:g}"
    if wrong:
        yield path, f"{shown(path)}: Invalid value: {value:g}: {shown(path)} in body should be {wrong}"


def _long(shape: Shape, length: int, path: Path) -> Found:
    unit = {"string": "chars long", "array": "items", "object": "properties"}.get(shape.type, "")
    verb = "be" if shape.type == "string" else "have"
    if shape.fewest is not None and length < shape.fewest:
        yield path, f"{shown(path)}: Invalid value: {shown(path)} in body should {verb} at least {shape.fewest} {unit}"
    if shape.longest is not None and length > shape.longest:
        yield path, f"{shown(path)}: Too long: {shown(path)} in body should {verb} at most {shape.longest} {unit}"
