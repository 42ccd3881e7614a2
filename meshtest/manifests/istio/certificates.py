"""Which credentials TLS settings mean: Secrets by name, or files on this machine, read as credentials.

Istio looks a Secret up in the namespace of the proxy that uses it. Here a gateway is no pod of a namespace, so the
object's own namespace comes first, and second the root namespace, where Istio's gateways are by default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Literal

from meshtest.lib.dataclass import dataclass
from meshtest.manifests.istio.names import ROOT_NAMESPACE
from meshtest.model.credential import Credential
from meshtest.model.diagnostic import Diagnostic, Severity, Source

PREFIX = "file:"
"""Before the path of a file in place of a credential's key, until `Credentials.settle` has read it."""
CA_SUFFIX = "-cacert"
"""Istio looks for the CA of clients in a Secret of that name too."""
Part = Literal["certificate", "ca"]


def secret(name: str, namespace: str) -> str:
    """A Secret's key as the object says it, by its own namespace; `kubernetes://name` is Istio's long form."""
    return f"{namespace}/{name.removeprefix('kubernetes://')}" if name else ""


def files(*paths: str) -> str:
    """A stand-in for the key of what the files hold; "" for none."""
    given = [path for path in paths if path]
    return PREFIX + "\n".join(given) if given else ""


@dataclass
class Credentials:
    """Those of the manifests, and those that were read from files."""

    known: Mapping[str, Credential]
    read: dict[str, Credential] = field(default_factory=dict)
    notes: list[Diagnostic] = field(default_factory=list)

    def settle(self, keys: Iterable[str], part: Part, source: Source) -> tuple[str, ...]:
        """Keys of credentials that exist; what does not is told and kept, so that it shows where it is used."""
        return tuple(self._settled(key, part, source) for key in keys)

    def _settled(self, key: str, part: Part, source: Source) -> str:
        if key.startswith(PREFIX):
            return self._from_files(key.removeprefix(PREFIX).split("\n"), part, source)
        namespace, _, name = key.partition("/")
        for home in (namespace, ROOT_NAMESPACE):
            for spelling in (name, f"{name}{CA_SUFFIX}") if part == "ca" else (name,):
                if self._holds(f"{home}/{spelling}", part):
                    return f"{home}/{spelling}"
        text = f"there is no Secret `{name}` with a {'CA certificate' if part == 'ca' else 'certificate and its key'}"
        where = " or ".join(f"`{home}`" for home in dict.fromkeys((namespace, ROOT_NAMESPACE)))
        self.tell("unknown-credential", f"{text} in namespace {where}: its TLS connections will fail", source)
        return key

    def _holds(self, key: str, part: Part) -> bool:
        found = self.known.get(key)
        return found is not None and bool(found.ca if part == "ca" else found.certificate)

    def _from_files(self, paths: list[str], part: Part, source: Source) -> str:
        name = "+".join(path.lstrip("/") for path in paths)
        texts = [self._text(path, source) for path in paths]
        if part == "ca":
            found = Credential(name=name, namespace="local", kind="File", ca=texts[0], source=source)
        else:
            chain, key = (*texts, "")[:2]
            found = Credential(
                name=name, namespace="local", kind="File", certificate=chain, private_key=key, source=source
            )
        if all(texts):
            self.read[found.key] = found
        return found.key

    def _text(self, path: str, source: Source) -> str:
        try:
            return Path(path).read_text()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no text"
            text = f"cannot read {path} ({reason}), which is a file of the proxy's container on a cluster"
            self.tell("unreadable-file", f"{text}; a Secret and `credentialName` work in both places", source)
            return ""

    def tell(self, code: str, text: str, source: Source) -> None:
        note = Diagnostic(Severity.WARNING, code, text, source)
        if note not in self.notes:
            self.notes.append(note)

    @property
    def all(self) -> dict[str, Credential]:
        return {**self.known, **self.read}
