"""Rollouts under gRPC, WebSockets, plain TCP and TLS: what is held open is not forgotten."""
