"""The programming interface of a test: `Mesh` and what it hands out."""

from meshtest.mesh.load import Load as Load
from meshtest.mesh.mesh import Mesh as Mesh
from meshtest.mesh.opening import new_provider as new_provider
from meshtest.mesh.opening import open_mesh as open_mesh
from meshtest.mesh.service import ServiceHandle as ServiceHandle
from meshtest.mesh.service import VersionHandle as VersionHandle

__all__ = ["Load", "Mesh", "ServiceHandle", "VersionHandle", "new_provider", "open_mesh"]
