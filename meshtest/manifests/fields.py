"""Field tables: for each mapping of a manifest, what is read, what is known but not translated, what does not matter.

They are data, so that a test compares them with the schemas of the CRDs: no field is forgotten in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from meshtest.lib.dataclass import dataclass


@dataclass(frozen=True, kw_only=True)
class Fields:
    """The keys one mapping may have."""

    read: Mapping[str, Fields | None]
    """Translated; with the table of the mapping below it (of each item of a list, of each value of a map), or None."""
    unsupported: Mapping[str, str] = field(default_factory=dict)
    """Known but not translated, with the reason: a WARNING, because requests may go another way than on a cluster."""
    unused: frozenset[str] = frozenset()
    """Known and without effect on what is tested here: an INFO."""

    @property
    def known(self) -> list[str]:
        return [*self.read, *self.unsupported, *sorted(self.unused)]


def leaves(names: str) -> dict[str, Fields | None]:
    """Fields without a table of their own: `leaves("name port")`."""
    return dict.fromkeys(names.split())


def words(names: str) -> frozenset[str]:
    """Field names without a table: `words("hostIP hostPort")`."""
    return frozenset(names.split())


METADATA = Fields(
    read=leaves("name namespace labels annotations creationTimestamp"),
    unused=words(
        "generateName generation managedFields ownerReferences finalizers resourceVersion selfLink uid "
        "deletionTimestamp deletionGracePeriodSeconds clusterName"
    ),
)


def kind(spec: Fields) -> Fields:
    """The table of a whole object."""
    return Fields(read={**leaves("apiVersion kind"), "metadata": METADATA, "spec": spec}, unused=words("status"))
