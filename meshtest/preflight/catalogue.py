"""Every code there is, by its name: IST are istioctl's, MT our own, FL the surprises of Flagger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from meshtest.preflight.codes_istio import ISTIO
from meshtest.preflight.codes_ours import OURS
from meshtest.preflight.rules import Code


class _Catalogue(Mapping[str, Code]):
    """The codes of Flagger come with its state machine, 25 ms that only who has a Canary, or lists all codes, pays."""

    _common: Mapping[str, Code] = {code.code: code for code in (*ISTIO, *OURS)}

    @cached_property
    def _all(self) -> Mapping[str, Code]:
        from meshtest.preflight.codes_flagger import FLAGGER

        return {**self._common, **{code.code: code for code in FLAGGER}}

    def __getitem__(self, code: str) -> Code:
        return self._common[code] if code in self._common else self._all[code]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)


CODES: Mapping[str, Code] = _Catalogue()
