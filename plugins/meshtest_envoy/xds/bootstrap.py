"""What Envoy starts with: where its control plane and its admin socket are, and nothing else."""

from __future__ import annotations

from pathlib import Path

from meshtest.lib.regex import MAX_PROGRAM
from meshtest_envoy.xds.resources import Json

RUNTIME: Json = {
    "re2.max_program_size.error_level": MAX_PROGRAM,
    "envoy.reloadable_features.http_reject_path_with_fragment": False,
}
"""As in Istio's bootstrap (tools/packaging/common/envoy_bootstrap.json)."""
KNOCKING: Json = {"retry_back_off": {"base_interval": "0.005s", "max_interval": "0.02s"}}
"""Envoy starts before its control plane listens. By default it would come back after up to 0.5 s (GrpcStream)."""


def bootstrap(*, node: str, ads: Path, admin: Path) -> Json:
    """Unix sockets for both, so no port is taken. Their paths must stay below 108 bytes (a limit of the kernel)."""
    grpc = {"envoy_grpc": {"cluster_name": "meshtest-ads", "retry_policy": KNOCKING}}
    http2: Json = {"explicit_http_config": {"http2_protocol_options": {}}}
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "node": {"id": node, "cluster": "meshtest"},
        "admin": {"address": {"pipe": {"path": str(admin), "mode": 0o600}}},
        # counters and histograms are then exact whenever we ask, not up to 5 s old
        "stats_flush_on_admin": True,
        "layered_runtime": {"layers": [{"name": "istio", "static_layer": RUNTIME}]},
        "dynamic_resources": {
            "ads_config": {"api_type": "GRPC", "transport_api_version": "V3", "grpc_services": [grpc]},
            "cds_config": {"ads": {}, "resource_api_version": "V3"},
            "lds_config": {"ads": {}, "resource_api_version": "V3"},
        },
        "static_resources": {
            "clusters": [
                {
                    "name": "meshtest-ads",
                    "type": "STATIC",
                    "connect_timeout": "1s",
                    "typed_extension_protocol_options": {options: {"@type": f"type.googleapis.com/{options}", **http2}},
                    "load_assignment": {
                        "cluster_name": "meshtest-ads",
                        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": str(ads)}}}}]}],
                    },
                }
            ]
        },
    }
