"""Spans in, PromQL out: a receiver for what proxies and services tell, and the real Prometheus for who asks."""
