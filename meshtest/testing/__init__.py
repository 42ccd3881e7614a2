"""For those who build on meshtest: a mesh without processes, and the suite that every provider must pass."""

from meshtest.testing.fake_provider import FakeProvider as FakeProvider

__all__ = ["FakeProvider"]
