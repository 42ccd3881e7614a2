"""How each step of a plan is typed: kubectl, with exactly the one object of the step."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from meshtest.manifests.diff import dump
from meshtest.model.document import Documents
from meshtest.preflight.kinds import CLUSTER_WIDE
from meshtest.preflight.plan import Step


def file_name(step: Step) -> str:
    """`02-destinationrule-web.yaml`"""
    kind = step.document.kind.partition("/")[2].lower()
    return f"{step.number:02}-{kind}-{step.document.name}.yaml"


def command(step: Step, per_file: Mapping[str, int], folder: str = "") -> str:
    """The file itself where it holds nothing else; else that object of it; an object of no file is written out."""
    if step.action == "delete":
        return _delete(step)
    if folder:
        return f"kubectl apply -f {shlex.quote(f'{folder}/{file_name(step)}')}"
    file = step.document.file
    if step.action == "extend":
        return f"kubectl apply -f - <<'YAML'\n{dump(step.document).rstrip()}\nYAML"
    if per_file.get(file) == 1:
        return f"kubectl apply -f {shlex.quote(file)}"
    return f"yq {shlex.quote(_select(step))} {shlex.quote(file)} | kubectl apply -f -"


def _select(step: Step) -> str:
    """The object among those of its file, for yq."""
    document = step.document
    wanted = f'.kind == "{document.data["kind"]}" and .metadata.name == "{document.name}"'
    if document.metadata.get("namespace"):
        wanted += f' and .metadata.namespace == "{document.namespace}"'
    return f"select({wanted})"


def _delete(step: Step) -> str:
    kind, namespace, name = step.document.key
    group, _, word = kind.partition("/")
    resource = f"{word.lower()}.{group}" if group else word.lower()
    where = "" if kind in CLUSTER_WIDE else f" -n {namespace}"
    return f"kubectl delete {resource}/{name}{where}"


def objects_per_file(*states: Documents) -> dict[str, int]:
    counts: dict[str, int] = {}
    for documents in states:
        for document in documents:
            counts[document.file] = counts.get(document.file, 0) + 1
    return counts
