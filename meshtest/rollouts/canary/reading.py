"""A Canary from its document, each complaint at its file:line. Not here: what is legal and unwise (surprises.py).

Errors are what the API server or Flagger itself would refuse: the schema of fluxcd/flagger artifacts/flagger/crd.yaml,
and verifyCanary of pkg/controller/controller.go.
"""

from __future__ import annotations

from meshtest.errors import ManifestError, UsageError
from meshtest.lib.words import listed, nearest
from meshtest.manifests.memo import Parsed
from meshtest.manifests.view import View
from meshtest.model.diagnostic import Diagnostic, Severity
from meshtest.model.document import Document
from meshtest.rollouts.canary.fields import CANARY
from meshtest.rollouts.canary.reading_analysis import analysis
from meshtest.rollouts.canary.reading_service import service
from meshtest.rollouts.canary.spec import Analysis, Autoscaler, Canary, Service

KIND = "flagger.app/Canary"
DEFAULT_PROVIDER = "istio"
"""Of Flagger's flag -mesh-provider."""
GATEWAY_PROVIDER = "gatewayapi:v1"

SIMULATED = ("istio", "linkerd", "gatewayapi:v1", "gatewayapi:v1beta1", "kubernetes")
OTHERS = (
    "apisix", "appmesh", "appmesh:v1beta2", "contour", "gloo", "knative", "kuma", "nginx", "osm", "skipper",
    "smi:v1alpha1", "smi:v1alpha2", "smi:v1alpha3", "traefik",
)  # fmt: skip
TARGETS = ("Deployment", "DaemonSet", "Service")
SCALERS = ("HorizontalPodAutoscaler", "ScaledObject")
DEADLINE = 600


def of(document: Document, *, provider: str = "") -> Canary:
    """The Canary of a document. Raises ManifestError with every error that it has."""
    parsed = parse(document, provider=provider)
    errors = [note for note in parsed.notes if note.severity is Severity.ERROR]
    if errors:
        raise ManifestError(errors)
    return parsed.value


def parse(document: Document, *, provider: str = "") -> Parsed[Canary]:
    """The Canary as far as it can be read, and what there is to say about it. `provider`: where it names none; left
    out, the one whose routes heed what it says."""
    _check_known(provider)
    notes: list[Diagnostic] = []
    view = View.of(document, CANARY, notes)
    spec = view.child("spec") if view.require("spec") else None
    return Parsed(_canary(document, spec, provider), tuple(notes))


def _check_known(provider: str) -> None:
    if provider and provider not in (*SIMULATED, *OTHERS):
        close = nearest(provider, (*SIMULATED, *OTHERS))
        hint = f"did you mean {close!r}? " if close else ""
        raise UsageError(f"Flagger has no provider {provider!r}; {hint}simulated are: {listed(SIMULATED)}")


def _canary(document: Document, spec: View | None, provider: str) -> Canary:
    name = document.name
    if spec is None:
        return Canary(name=name, namespace=document.namespace, target=name, service=Service(name=name))
    kind, target = _target(spec)
    deadline = spec.integer("progressDeadlineSeconds", least=0)
    return Canary(
        name=name,
        namespace=document.namespace,
        target=target,
        kind=kind,
        provider=_provider(spec, provider),
        service=_service(spec, kind, target),
        analysis=_analysis(spec),
        deadline=DEADLINE if deadline is None else deadline,
        skip=bool(spec.boolean("skipAnalysis")),
        suspend=bool(spec.boolean("suspend")),
        revert=bool(spec.boolean("revertOnDeletion")),
        autoscaler=_autoscaler(spec),
        metrics_server=spec.string("metricsServer"),
    )


def _target(spec: View) -> tuple[str, str]:
    target = spec.child("targetRef") if spec.require("targetRef") else None
    if target is None:
        return TARGETS[0], ""
    for key in ("apiVersion", "kind", "name"):
        target.require(key)
    target.string("apiVersion")
    return target.choice("kind", TARGETS, TARGETS[0]), target.string("name")


def _autoscaler(spec: View) -> Autoscaler | None:
    scaler = spec.child("autoscalerRef")
    if scaler is None:
        return None
    for key in ("apiVersion", "kind", "name"):
        scaler.require(key)
        scaler.string(key)
    replicas = scaler.child("primaryScalerReplicas")
    return Autoscaler(
        kind=scaler.choice("kind", SCALERS, SCALERS[0]),
        name=scaler.string("name"),
        least=replicas.integer("minReplicas", least=0) if replicas else None,
        most=replicas.integer("maxReplicas", least=0) if replicas else None,
        queries=scaler.string_map("primaryScalerQueries") if "primaryScalerQueries" in scaler else None,
    )


def _provider(spec: View, default: str) -> str:
    found = spec.choice("provider", (*SIMULATED, *OTHERS), default or _supposed(spec))
    if found in OTHERS:
        spec.not_supported(f"simulated like {DEFAULT_PROVIDER}; exact are {listed(SIMULATED)}", "provider")
    return found


def _supposed(spec: View) -> str:
    """Flagger's flag says it in production. `gatewayRefs` are for Gateway API; to any other router they are nothing."""
    service = spec.data.get("service")
    return GATEWAY_PROVIDER if isinstance(service, dict) and service.get("gatewayRefs") else DEFAULT_PROVIDER


def _service(spec: View, kind: str, target: str) -> Service:
    """The CRD does not ask for one, and Knative does without; of a Deployment, Flagger makes Services with its port."""
    view = spec.child("service") if kind == "Service" or spec.require("service") else None
    if view is None:
        return Service(name=target)
    return service(view, target)


def _analysis(spec: View) -> Analysis:
    view = spec.child("analysis") if spec.require("analysis") else None
    return Analysis() if view is None else analysis(view)
