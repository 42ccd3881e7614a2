"""Public fakes, for tests of what is built on meshtest: a mesh without processes."""

from meshtest.testing.fake_provider import FakeProvider as FakeProvider

__all__ = ["FakeProvider"]
