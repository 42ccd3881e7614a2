"""How proxies, servers and clusters of a run are called in its graph: `web@v2`, `gateway`, `client`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from meshtest.model.graph import Node
from meshtest.model.history import History, same_host
from meshtest.model.request import Server

CLIENT, OUTSIDE, UNKNOWN = "client", "outside", "unknown"
_CLIENT_WORKLOAD = "meshtest-client"
_GATEWAY = re.compile(r"gateway_(\d+)")
_LOCAL = re.compile(r"\.svc(\.cluster\.local)?$")


def node_name(service: str, version: str) -> str:
    """`web@v2`; what has no version is called by its service alone."""
    return f"{service}@{version}" if version else service


class Names:
    """What is known of a run's workloads, by their starts and by who served."""

    def __init__(self, history: History) -> None:
        self._workloads: dict[str, Node] = {}
        self._pods: dict[str, set[str]] = {}
        self._subsets: dict[str, set[str]] = {}
        self._nodes: dict[str, Node] = {}
        self.services: list[str] = []
        for event in history.of("pod.start"):
            self._started(
                event.subject, **{k: str(event.data.get(k) or "") for k in ("workload", "service", "version")}
            )
        for event in history.of("config.apply"):
            self._know(event.data.get("shares") or ())

    def _started(self, pod: str, workload: str, service: str, version: str) -> None:
        service = service or workload.rpartition("/")[2]
        name = node_name(service, version)
        self._workloads[workload] = self._nodes[name] = Node(name, "workload", service, version, workload)
        self._pods.setdefault(name, set()).add(pod)
        self._know([service])

    def _know(self, services: Iterable[str]) -> None:
        self.services += [s for s in services if s and not any(same_host(s, known) for known in self.services)]

    # ---- from the words of a hop to a name

    def of_proxy(self, direction: str, proxy: str) -> str:
        if direction == "gateway":
            found = _GATEWAY.match(proxy)
            port = found[1] if found else "80"
            return self._seen(Node("gateway" if port == "80" else f"gateway:{port}", "gateway"))
        if proxy in (OUTSIDE, CLIENT) or proxy.endswith(f"/{_CLIENT_WORKLOAD}"):
            return self._seen(Node(OUTSIDE if proxy == OUTSIDE else CLIENT, "client"))
        known = self._workloads.get(proxy)
        return known.name if known else self._seen(Node(proxy.rpartition("/")[2], "workload", workload=proxy))

    def of_server(self, server: Server, cluster: str = "") -> str:
        """A pod that serves; `cluster` is the one it was chosen from."""
        name = node_name(server.service or UNKNOWN, server.version)
        if name not in self._nodes:
            self._nodes[name] = Node(name, "workload", server.service, server.version)
        self._know([server.service])
        self._pods.setdefault(name, set()).add(server.pod)
        if cluster:
            self._subsets.setdefault(cluster, set()).add(server.version)
        return name

    def of_cluster(self, cluster: str, authority: str) -> str:
        """Where a request was to go that no pod got; a cluster is `outbound|80|v1|price.default.svc.cluster.local`."""
        parts = cluster.split("|")
        if len(parts) != 4:
            return self.of_host(authority.partition(":")[0])
        seen = self._subsets.get(cluster, set())
        version = next(iter(seen)) if len(seen) == 1 else parts[2]
        return self.of_host(parts[3], version)

    def of_client(self, name: str) -> str:
        """`client` or `outside`; or nobody knows who."""
        return self._seen(Node(name, "client" if name in (CLIENT, OUTSIDE) else "unknown"))

    def of_host(self, host: str, version: str = "") -> str:
        service = next((s for s in self.services if same_host(s, host)), _LOCAL.sub("", host)) or UNKNOWN
        return self._seen(Node(node_name(service, version), "unknown", service, version))

    def _seen(self, node: Node) -> str:
        self._nodes.setdefault(node.name, node)
        return node.name

    # ---- what is known in the end

    def service(self, name: str) -> str:
        return self._nodes[name].service if name in self._nodes else ""

    def kind(self, name: str) -> str:
        return self._nodes[name].kind if name in self._nodes else ""

    def nodes(self) -> dict[str, Node]:
        """All of them, with the pods that were seen."""
        pods = {name: len(seen - {""}) for name, seen in self._pods.items()}
        return {name: node._replace(replicas=pods.get(name, 0)) for name, node in self._nodes.items()}
