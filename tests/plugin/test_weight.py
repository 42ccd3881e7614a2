"""What every pytest run of the environment pays for the plugin being installed."""

from __future__ import annotations

import pytest

HEAVY = ("grpc", "google.protobuf", "yaml", "kubernetes", "locust", "gevent", "opentelemetry", "meshtest_envoy")

LOOKS = f"""
import sys

def test_nothing_heavy_is_imported():
    loaded = [name for name in {HEAVY!r} if name in sys.modules]
    assert loaded == []
    ours = sorted(name for name in sys.modules if name.partition(".")[0] in ("meshtest", "pytest_meshtest"))
    assert ours == [
        "meshtest", "meshtest.errors", "meshtest.settings",
        "pytest_meshtest", "pytest_meshtest.hooks", "pytest_meshtest.plugin",
    ]
"""


def test_an_unused_plugin_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(LOOKS)
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)


def test_it_can_be_turned_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import sys\ndef test_off():\n    assert 'meshtest' not in sys.modules\n")
    pytester.runpytest_subprocess("-p", "no:pytest_meshtest.plugin").assert_outcomes(passed=1)
