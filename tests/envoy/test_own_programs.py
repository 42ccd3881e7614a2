"""The user's own program in place of an image: real third-party servers behind the real Envoy."""

from __future__ import annotations

import shutil
import sys

import pytest

from meshtest import Mesh, no_downtime, reached, split

WEB = """
apiVersion: v1
kind: Service
metadata: {{name: files}}
spec: {{selector: {{app: files}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: files}}
spec: {{host: files, subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: files-v1}}
spec:
  selector: {{matchLabels: {{app: files, version: v1}}}}
  template:
    metadata: {{labels: {{app: files, version: v1}}}}
    spec: {{containers: [{{name: files, image: "example/files:1", ports: [{{containerPort: 8080}}]}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: files-v2}}
spec:
  selector: {{matchLabels: {{app: files, version: v2}}}}
  template:
    metadata:
      labels: {{app: files, version: v2}}
      annotations: {{meshtest.dev/command: {command}}}
    spec:
      containers:
      - name: files
        image: example/nginx:1
        ports: [{{containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
"""
NGINX = (
    "sh -c 'printf \"pid {dir}/pid; error_log stderr; events {} http { access_log off; client_body_temp_path {dir}; "
    "proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir}; "
    'server { listen 127.0.0.1:{port}; location / { return 200 nginx; } } }" > {dir}/conf; '
    'exec nginx -c {dir}/conf -g "daemon off;"\''
)


def quoted(command: str) -> str:
    return '"' + command.replace("\\", "\\\\").replace('"', '\\"') + '"'


@pytest.mark.mesh(images={"example/files": f"{sys.executable} -m http.server --bind 127.0.0.1 {{port}}"})
def test_traffic_moves_from_pythons_http_server_to_nginx(mesh: Mesh) -> None:
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    mesh.apply(text=WEB.format(command=quoted(NGINX)))
    assert not any(pod.stand_in for pod in mesh.provider.pods())
    with mesh.load("GET http://files/", rps=100) as load:
        mesh["files"].shift(v1=100)
        load.until(requests=100)
        mesh["files"].shift(v2=100)
        load.until(requests=100)
    mesh.verify(no_downtime(), split(host="files", error=1e-6), reached(host="files", exactly=("v1", "v2")))
