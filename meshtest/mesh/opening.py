"""From settings to a mesh: make the run folder, find the provider, put them together."""

from __future__ import annotations

from meshtest.mesh.mesh import Mesh
from meshtest.run import Run
from meshtest.settings import Settings
from meshtest.spi import registry
from meshtest.spi.provider import Provider


def new_provider(settings: Settings) -> Provider:
    """The installed provider of that name, not started; UsageError lists what is installed."""
    provider: Provider = registry.load("providers", settings.provider)()
    return provider


def open_mesh(name: str, settings: Settings, *, command: str = "", provider: Provider | None = None) -> Mesh:
    """A mesh for one run, empty: `apply` comes next. A provider that is passed in stays open when the mesh closes."""
    run = Run(name, settings, command=command, seed=settings.seed)
    return Mesh(provider or new_provider(settings), run, settings, owns_provider=provider is None)
