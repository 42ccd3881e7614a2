"""One warm provider for the tests of a process: the proxy is started once, each test gets a run of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshtest.errors import ProviderError
from meshtest.mesh import new_provider, open_mesh
from meshtest.run import unfinished
from meshtest.settings import Settings
from meshtest.spi.provider import Provider, TellsBroken

if TYPE_CHECKING:
    from meshtest.mesh import Mesh


class MeshSession:
    """Not thread-safe; pytest runs one test at a time in a process."""

    def __init__(self) -> None:
        self._warm: dict[tuple[str, str], Provider] = {}
        self._news: list[str] = []
        self._asked = False

    def mesh_for(self, name: str, settings: Settings, command: str) -> Mesh:
        """An empty mesh with its own run folder, on a provider that is warm if it can be."""
        self._look_back(settings)
        key = (settings.provider, settings.envoy)
        broken = self._end_broken(key)
        provider = self._warm.setdefault(key, self._warm.get(key) or new_provider(settings, early=True))
        mesh = open_mesh(name, settings, command=command, provider=provider)  # if that fails, the provider stays
        self._warm.pop(key, None)
        try:
            mesh.open()
            if broken:
                mesh.record("note", text=f"the provider of the test before was broken, this is a fresh one: {broken}")
        except BaseException:
            mesh.provider.close()
            mesh.run.close()
            raise
        return mesh

    def _end_broken(self, key: tuple[str, str]) -> str:
        """Why the warm one cannot be used, if so: something of it has died since its last test."""
        warm = self._warm.get(key)
        broken = warm.broken() if isinstance(warm, TellsBroken) else ""
        if broken:
            self._warm.pop(key).close()
        return broken

    def leave(self, mesh: Mesh) -> None:
        """End the test's run; its provider stays, unless the test left it broken (it may do so on purpose)."""
        try:
            mesh.close()
        except BaseException as error:
            mesh.provider.close()
            if not isinstance(error, ProviderError):
                raise
        else:
            self._warm[(mesh.settings.provider, mesh.settings.envoy)] = mesh.provider

    def close(self) -> None:
        for provider in self._warm.values():
            provider.close()
        self._warm.clear()

    def news(self) -> list[str]:
        return self._news

    def _look_back(self, settings: Settings) -> None:
        """Say so once if an earlier runner was killed: its run folder has no end."""
        if not self._asked:
            self._asked = True
            self._news += [
                f"{path} was cut short: its runner was killed. Everything it had started has ended; "
                f"what it recorded is there (meshtest judge {path})"
                for path in unfinished(settings.reports)
            ]
