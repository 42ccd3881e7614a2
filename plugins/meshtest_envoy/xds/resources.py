"""What every resource is made of: JSON, protobuf's durations in it, and where Envoy gets the rest from."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
Resources = dict[str, Json]
"""By name, of one type."""

ADS: Json = {"ads": {}, "resource_api_version": "V3"}


def seconds(value: float) -> str:
    """A protobuf Duration in JSON."""
    return f"{value:.9f}".rstrip("0").rstrip(".") + "s"


def drop_none(**fields: Any) -> Json:
    return {k: v for k, v in fields.items() if v is not None}
