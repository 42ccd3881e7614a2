"""1,000 VirtualServices: read, compiled, translated; then one route changes: what is translated and pushed again."""

from __future__ import annotations

import time
from collections.abc import Iterator

from meshtest_envoy.xds.snapshot import Snapshot, Translator, tcp_listeners

from meshtest.manifests.compiler import compile_or_raise
from meshtest.manifests.istio import ISTIO
from meshtest.manifests.reader import read_text
from meshtest.model.document import Documents

COUNT = 1000
AIM = 1.5
"""s"""


def manifests(count: int) -> Iterator[str]:
    for number in range(count):
        name = f"web{number}"
        yield f"""\
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{ports: [{{name: http, port: 80}}], selector: {{app: {name}}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec:
  host: {name}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: [{name}]
  http:
  - match: [{{uri: {{prefix: /api}}, headers: {{x-user: {{exact: "7"}}}}}}]
    route: [{{destination: {{host: {name}, subset: v2}}}}]
  - route:
    - {{destination: {{host: {name}, subset: v1}}, weight: 90}}
    - {{destination: {{host: {name}, subset: v2}}, weight: 10}}
"""


def main() -> None:
    text = "---\n".join(manifests(COUNT))
    began = time.perf_counter()
    documents = read_text(text, "bench.yaml")
    read = time.perf_counter() - began
    translator = Translator(hops="/dev/null")
    first, seconds = _translated(translator, documents)
    print(f"{COUNT} VirtualServices (and as many services, rules): read as YAML {read:.2f} s;", end=" ")
    print(f"compiled and translated {seconds:.2f} s   aim <= {AIM:g}")

    topology = compile_or_raise(documents).topology
    host = topology.services[COUNT // 2].fqdn
    began = time.perf_counter()
    edited = ISTIO.set_weights(documents, topology, host, {"v1": 50, "v2": 50})
    edit = time.perf_counter() - began
    second, again = _translated(translator, edited)
    print(f"one route changes: edit {edit * 1e3:.0f} ms, compiled and translated {again:.2f} s; ", end="")
    print(f"differs: {', '.join(_differing(first, second)) or 'nothing'}")


def _translated(translator: Translator, documents: Documents) -> tuple[Snapshot, float]:
    began = time.perf_counter()
    topology = compile_or_raise(documents).topology
    ports = {name: 20_000 + number for number, name in enumerate(tcp_listeners(topology))}
    return translator.snapshot(topology, (), ports), time.perf_counter() - began


def _differing(before: Snapshot, after: Snapshot) -> Iterator[str]:
    for kind in ("clusters", "endpoints", "listeners", "routes"):
        old, new = getattr(before, kind), getattr(after, kind)
        changed = [name for name in new if old.get(name) != new[name]]
        if changed:
            hosts = sum(
                h not in old.get(name, {}).get("virtual_hosts", ())
                for name in changed
                for h in new[name].get("virtual_hosts", ())
            )
            yield f"{len(changed)} of {len(new)} {kind} ({hosts} virtual hosts)"


if __name__ == "__main__":
    main()
