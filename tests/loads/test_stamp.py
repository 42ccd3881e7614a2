"""The trace context of a load's requests."""

from __future__ import annotations

import pytest

from meshtest.loads.spec import LoadSpec, sampled_by
from meshtest.loads.stamp import Stamp


def pairs(index: int = 3, **options: bool | float) -> dict[bytes, bytes]:
    spec = LoadSpec.of("GET http://web/", requests=1, **options)  # type: ignore[arg-type]
    return dict(Stamp(spec.order(0, seed=7, targets=[])["stamp"], "web", "/", {}).pairs(index))


def test_b3_says_the_same_as_w3c() -> None:
    for sampled, flag in ((1.0, b"01"), (0.0, b"00")):
        fields = pairs(sampled=sampled, b3=True)
        _, trace, span, flags = fields[b"traceparent"].split(b"-")
        assert flags == flag
        assert fields[b"x-b3-traceid"] == trace
        assert fields[b"x-b3-spanid"] == span
        assert fields[b"x-b3-sampled"] == flag[1:]


def test_b3_is_sent_only_where_it_is_asked_for() -> None:
    assert not [name for name in pairs() if name.startswith(b"x-b3")]


@pytest.mark.parametrize(("traces", "share"), [("off", 0.01), ("sampled", 0.01), ("all", 1.0)])
def test_the_setting_is_the_share_of_a_load_that_says_none(traces: str, share: float) -> None:
    assert sampled_by(traces) == share
