"""From settings to a mesh: find the provider, make the run folder, put them together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.settings import Settings
from meshtest.spi import registry
from meshtest.spi.provider import Provider, StartsEarly

if TYPE_CHECKING:
    from meshtest.mesh.mesh import Mesh


def new_provider(settings: Settings, *, early: bool = False) -> Provider:
    """The installed provider of that name, not open; UsageError lists what is installed.

    `early`: it will be opened at once, so what takes long may begin while the rest is imported.
    """
    provider: Provider = registry.load("providers", settings.provider)()
    if early and isinstance(provider, StartsEarly):
        provider.start_early(settings)
    return provider


def open_mesh(name: str, settings: Settings, *, command: str = "", provider: Provider | None = None) -> Mesh:
    """A mesh for one run, empty: `apply` comes next. A provider that is passed in stays open when the mesh closes."""
    used = provider or new_provider(settings, early=True)
    try:
        from meshtest.mesh.mesh import Mesh
        from meshtest.run import Run

        run = Run(name, settings, command=command, seed=settings.seed)
    except BaseException:
        if provider is None:
            used.close()
        raise
    return Mesh(used, run, settings, owns_provider=provider is None)
