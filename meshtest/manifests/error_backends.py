"""Backends that only fail: how users of a mesh without a fault filter inject faults, by a weight (Linkerd's docs,
"Injecting faults"). Generated documents, and how they are told from the user's own.

Not here: the routes that lead to them (linkerd/faults.py).
"""

from __future__ import annotations

import json
from typing import Any

from meshtest.model.document import Document
from meshtest.model.service import DOMAIN, Service

Json = dict[str, Any]

PREFIX = "meshtest-fault-"
WISH = "meshtest.dev/fault"
"""Annotation of a generated Service: the fault as it was asked for, to inject it again after traffic was moved."""
ERRORS = "meshtest.dev/errors"
PORT = 8080


def name_of(service: Service) -> str:
    return f"{PREFIX}{service.name}"


def host_of(service: Service) -> str:
    return f"{name_of(service)}.{service.namespace}.svc.{DOMAIN}"


def is_error_backend(host: str) -> bool:
    """By its host or its name."""
    return host.startswith(PREFIX)


def documents(service: Service, status: int, wish: Json) -> list[Document]:
    """A Service with the ports of the broken one, and a Deployment of one stand-in that answers with the status."""
    name, labels = name_of(service), {"app": name_of(service), "version": "fault"}
    metadata = {"name": name, "namespace": service.namespace}
    ports = [{"name": p.name or f"{p.protocol}-{p.number}", "port": p.number, "targetPort": PORT}
             for p in service.ports]  # fmt: skip
    container = {"name": "fault", "image": "meshtest/fault", "ports": [{"containerPort": PORT}]}
    made: list[Json] = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {**metadata, "annotations": {WISH: json.dumps(wish)}},
            "spec": {"selector": {"app": name}, "ports": ports},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels, "annotations": {ERRORS: f"{status}:100"}},
                    "spec": {"containers": [container]},
                },
            },
        },
    ]
    return [Document(data, "<generated>") for data in made]
