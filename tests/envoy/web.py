"""One service that users reach through a gateway, and callers inside the mesh."""

from __future__ import annotations

from tests.web import SERVICE, deployment, joined

FRONT = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front}
spec:
  hosts: [shop.example.com]
  gateways: [front]
  http: [{name: main, route: [{destination: {host: web}}]}]
"""

WEB = joined(SERVICE, deployment("v1"), FRONT)
