"""Manifests, and a mesh that is up."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Ground, Program
from tests.web import GATEWAY, VERSIONS, joined, weights

WEB = joined(VERSIONS, weights(v1=100, v2=0, spec='hosts: [web, "*"]\n  gateways: [mesh, shop]'), GATEWAY)

Up = Callable[..., tuple[Program, dict[str, Any]]]


@pytest.fixture
def up(ground: Ground) -> Up:
    """Start `meshtest up --json`; it and what it tells once it is up."""
    ground.write("web.yaml", WEB)

    def start(*words: str) -> tuple[Program, dict[str, Any]]:
        program = ground.meshtest("up", "web.yaml", "--json", *words)
        program.says("\n")
        return program, json.loads(program.out)

    return start
