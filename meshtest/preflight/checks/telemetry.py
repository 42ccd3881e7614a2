"""Telemetry objects that select nothing or the same pods, or name no provider.

Upstream: istio/istio pkg/config/analysis/analyzers/telemetry/selector.go, default_selector.go, providers.go,
lightstep.go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from meshtest.lib.words import listed
from meshtest.model.document import Document
from meshtest.preflight.dig import at, labels, objects, strings, text
from meshtest.preflight.finding import Hit
from meshtest.preflight.kinds import TELEMETRY
from meshtest.preflight.mesh_config import mesh_config
from meshtest.preflight.rules import across
from meshtest.preflight.scene import Scene

NAME = ("metadata", "name")


@across(TELEMETRY, analyzer="telemetry.SelectorAnalyzer")
def selectors(scene: Scene) -> Iterator[Hit]:
    """IST0101 and IST0159."""
    selecting: dict[int, list[Document]] = defaultdict(list)
    for document in scene.of(TELEMETRY):
        wanted = labels(document.data, "spec", "selector", "matchLabels")
        found = list(scene.selected(wanted, document.namespace)) if wanted else []
        for pods in found:
            selecting[id(pods)].append(document)
        if wanted and not found:
            shown = ",".join(f"{key}={value}" for key, value in wanted.items())
            yield Hit("IST0101", document, ("spec", "selector"), f"selector `{shown}` selects no pod")
    for pods in scene.pods:
        documents = selecting[id(pods)]
        for document in documents if len(documents) > 1 else ():
            others = listed(d.name for d in documents if d is not document)
            yield Hit("IST0159", document, NAME, f"`{pods.name}` is selected by Telemetry {others} too")


@across(TELEMETRY, analyzer="telemetry.DefaultSelectorAnalyzer")
def without_selector(scene: Scene) -> Iterator[Hit]:
    """IST0160"""
    whole: dict[str, list[Document]] = defaultdict(list)
    for document in scene.of(TELEMETRY):
        if at(document.data, "spec", "selector") is None:
            whole[document.namespace].append(document)
    for namespace, documents in whole.items():
        for document in documents if len(documents) > 1 else ():
            others = listed(d.name for d in documents if d is not document)
            message = f"namespace `{namespace}` has Telemetry {others} without a selector too"
            yield Hit("IST0160", document, NAME, message)


@across(TELEMETRY, analyzer="telemetry.ProviderAnalyzer")
def providers(scene: Scene) -> Iterator[Hit]:
    """IST0157, unless the mesh has a default provider."""
    if strings(mesh_config(scene), "defaultProviders", "accessLogging"):
        return
    for document in scene.of(TELEMETRY):
        for index, item in objects(document.data, "spec", "accessLogging"):
            if item.get("disabled") is not True and not item.get("providers"):
                yield Hit("IST0157", document, ("spec", "accessLogging", index), "access logging names no provider")


@across(TELEMETRY, analyzer="telemetry.LightstepAnalyzer")
def lightstep(scene: Scene) -> Iterator[Hit]:
    """IST0002, for each use of a Lightstep provider of the mesh."""
    configured = objects(mesh_config(scene), "extensionProviders")
    old = {text(provider, "name") for _, provider in configured if "lightstep" in provider}
    for document in scene.of(TELEMETRY) if old else ():
        for i, tracing in objects(document.data, "spec", "tracing"):
            for j, provider in objects(tracing, "providers"):
                if (name := text(provider, "name")) in old:
                    path = ("spec", "tracing", i, "providers", j)
                    fix = "Use an OpenTelemetry provider."
                    yield Hit("IST0002", document, path, f"provider `{name}` is Lightstep, which is deprecated", fix)
