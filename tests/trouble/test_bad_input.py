"""Manifests that mean nothing: the place and the reason on stderr, exit code 4, nothing left running."""

from __future__ import annotations

import pytest

from tests.conftest import Ground
from tests.web import SERVICE, VERSIONS, deployment, joined, virtual_service

CASES = {
    "malformed YAML": (
        "kind: Service\nmetadata: [\n",
        "mesh.yaml:3: error: malformed YAML",
    ),
    "an unknown kind": (
        joined(SERVICE, "apiVersion: apps/v1\nkind: Deploymnet\nmetadata: {name: web}\n"),
        "mesh.yaml:7: error: unknown kind `Deploymnet`; did you mean `Deployment`?",
    ),
    "a misspelt field": (
        joined(VERSIONS, virtual_service("route: [{destination: {host: web}, wieght: 100}]")),
        "unknown field `spec.http[0].route[0].wieght`; did you mean `weight`?",
    ),
    "an unknown field": (
        joined(VERSIONS, virtual_service("{zzz: 1, route: [{destination: {host: web}}]}")),
        "error: unknown field `spec.http[0].zzz`",
    ),
    "a negative weight": (
        joined(VERSIONS, virtual_service("route: [{destination: {host: web, subset: v1}, weight: -5}]")),
        "`spec.http[0].route[0].weight` must be at least 0, not -5",
    ),
    "weights that sum to 0": (
        joined(
            VERSIONS,
            virtual_service(
                "route: [{destination: {host: web, subset: v1}, weight: 0}, "
                "{destination: {host: web, subset: v2}, weight: 0}]"
            ),
        ),
        "the weights of `spec.http[0].route` sum to 0, so no request could go anywhere",
    ),
    "an unknown host": (
        joined(VERSIONS, virtual_service("route: [{destination: {host: wbe}}]")),
        "destination `wbe` is no Service here; did you mean `web`?",
    ),
    "an unknown subset": (
        joined(VERSIONS, virtual_service("route: [{destination: {host: web, subset: v22}}]")),
        "service `web` has no subset `v22`; known: v1, v2; did you mean `v2`?",
    ),
    "two Deployments for one version": (
        joined(SERVICE, deployment("v1"), deployment("v1").replace("name: web-v1", "name: web-one")),
        "are both version 'v1' of service `web`",
    ),
    "a file that holds nothing": ("# nothing\n", "mesh.yaml"),
}


@pytest.mark.parametrize(("text", "message"), CASES.values(), ids=CASES)
def test_bad_input_is_explained(ground: Ground, text: str, message: str) -> None:
    ground.write("mesh.yaml", text)
    program = ground.meshtest("up", "mesh.yaml")
    assert program.wait() == 4, program
    assert message in program.err, program
    assert "Traceback" not in program.err
    assert program.err.startswith("meshtest: ")
    ground.nothing_left()


def test_a_file_that_is_not_there_is_said_so(ground: Ground) -> None:
    program = ground.meshtest("up", "missing.yaml")
    assert program.wait() == 4
    assert f"'missing.yaml' matches no file (searched in {ground.folder})" in program.err


def test_every_error_of_all_documents_is_told_at_once(ground: Ground) -> None:
    ground.write("mesh.yaml", joined(VERSIONS, virtual_service("{zzz: 1, route: [{destination: {host: wbe}}]}")))
    program = ground.meshtest("up", "mesh.yaml")
    assert program.wait() == 4
    assert "zzz" in program.err
    assert "`wbe`" in program.err
