"""Field tables of ServiceEntry, WorkloadEntry and Sidecar, compared with Istio's CRDs by a test."""

from __future__ import annotations

from meshtest.manifests.fields import Fields, kind, leaves, words

_NETWORK = "all endpoints are in one network"

ENDPOINT = Fields(
    read=leaves("address ports labels locality weight serviceAccount"),
    unsupported={"network": _NETWORK},
)

SERVICE_ENTRY = kind(
    Fields(
        read={
            **leaves("hosts addresses exportTo location resolution subjectAltNames"),
            "ports": Fields(read=leaves("number name protocol targetPort")),
            "endpoints": ENDPOINT,
            "workloadSelector": Fields(read=leaves("labels")),
        },
    )
)

WORKLOAD_ENTRY = kind(ENDPOINT)

SIDECAR = kind(
    Fields(
        read={
            "workloadSelector": Fields(read=leaves("labels")),
            "egress": Fields(
                read={
                    **leaves("hosts"),
                    "port": Fields(
                        read=leaves("number"),
                        unsupported={"targetPort": "Istio ignores it"},
                        # Hosts are told apart by their services' own ports.
                        unused=words("name protocol"),
                    ),
                },
                unsupported={"bind": "a caller has one address for all that it calls"},
                unused=words("captureMode"),
            ),
            "outboundTrafficPolicy": Fields(
                read=leaves("mode"),
                unsupported={"egressProxy": "unknown hosts are answered with 502"},
            ),
        },
        unsupported={
            "ingress": "requests to a pod arrive at the ports of its Services",
            "inboundConnectionPool": "requests to a pod are not limited on arrival",
        },
    )
)
