"""The containers of a pod template: command, ports, probes, preStop."""

from __future__ import annotations

from collections.abc import Iterator

from meshtest.manifests.view import View
from meshtest.model.service import Container, ContainerPort, Handler, Probe


def container(view: View) -> Container:
    view.require("name")
    lifecycle = view.child("lifecycle")
    return Container(
        name=view.string("name"),
        image=view.string("image"),
        command=view.strings("command"),
        args=view.strings("args"),
        env=tuple(_env(view)),
        ports=tuple(_ports(view)),
        readiness=_probe(view.child("readinessProbe")),
        liveness=_probe(view.child("livenessProbe")),
        startup=_probe(view.child("startupProbe")),
        pre_stop=_hook(lifecycle.child("preStop")) if lifecycle else None,
    )


def _env(view: View) -> Iterator[tuple[str, str]]:
    for variable in view.children("env"):
        if variable.require("name") and "valueFrom" not in variable:
            yield variable.string("name"), variable.text("value")


def _ports(view: View) -> Iterator[ContainerPort]:
    for port in view.children("ports"):
        number = port.port("containerPort")
        if port.require("containerPort") and number is not None and port.string("protocol", "TCP") == "TCP":
            yield ContainerPort(number=number, name=port.string("name"))


def _probe(view: View | None) -> Probe | None:
    """Kubernetes' defaults; it takes 0 for "not set" where 0 has no meaning."""
    if view is None:
        return None
    handler = _grpc(view.child("grpc")) or _handler(view)
    if handler is None:
        view.error("missing-field", f"{view.name()} needs one of httpGet, tcpSocket, grpc, exec")
        return None
    return Probe(
        handler=handler,
        initial_delay=view.integer("initialDelaySeconds", least=0) or 0,
        period=view.integer("periodSeconds", least=0) or 10,
        timeout=view.integer("timeoutSeconds", least=0) or 1,
        success_threshold=view.integer("successThreshold", least=0) or 1,
        failure_threshold=view.integer("failureThreshold", least=0) or 3,
    )


def _hook(view: View | None) -> Handler | None:
    if view is None:
        return None
    if (sleep := view.child("sleep")) is not None:
        return Handler(kind="sleep", seconds=sleep.integer("seconds", least=0) or 0)
    handler = _handler(view)
    if handler is None:
        view.error("missing-field", f"{view.name()} needs one of exec, httpGet, sleep")
    return handler


def _handler(view: View) -> Handler | None:
    if (get := view.child("httpGet")) is not None:
        return _http_get(get)
    if (socket := view.child("tcpSocket")) is not None:
        socket.require("port")
        return Handler(kind="tcp", port=socket.int_or_name("port", 0))
    if (command := view.child("exec")) is not None:
        command.require("command")
        return Handler(kind="exec", command=command.strings("command"))
    return None


def _grpc(view: View | None) -> Handler | None:
    if view is None:
        return None
    view.require("port")
    return Handler(kind="grpc", port=view.port("port") or 0, path=view.string("service"))


def mounts(pod: View, namespace: str) -> Iterator[str]:
    """Keys of the Secrets and ConfigMaps among the volumes, as model.credential.Credential names them."""
    for volume in pod.children("volumes"):
        if (secret := volume.child("secret")) is not None and (name := secret.string("secretName")):
            yield f"{namespace}/{name}"
        if (config := volume.child("configMap")) is not None and (name := config.string("name")):
            yield f"ConfigMap/{namespace}/{name}"


def _http_get(view: View) -> Handler:
    view.require("port")
    if view.choice("scheme", ("HTTP", "HTTPS"), "HTTP") == "HTTPS":
        view.not_supported("the pod is asked by plain HTTP", "scheme")
    path = view.string("path", "/")
    return Handler(
        kind="http",
        path=path if path.startswith("/") else f"/{path}",
        port=view.int_or_name("port", 0),
        headers=tuple((h.string("name"), h.string("value")) for h in view.children("httpHeaders")),
    )
