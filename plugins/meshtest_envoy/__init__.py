"""Provider "envoy", the embedded default: a mesh on this machine.

runner (pytest, CLI)                        supervisor (its own process)
provider ─► fleet, rollout ── control ────► pods: stand-ins, the user's programs
    └─────► plane ── ADS (acknowledged) ──► Envoy: a listener a caller, a replica, a gateway port

provider.py    the seam (meshtest.spi.provider)      plane.py      what is in force in Envoy, and how it may change
fleet.py       which pods run, what the mesh knows   rollout.py    a Deployment on its way (rolling.py counts)
publisher.py   the endpoint-propagation lag          hops.py       the access log of all proxies
envoy.py       the binary and its admin interface    ports.py      ports for listeners
barrier.py     sees that the worker has a change
ads/           the control plane                     xds/          the translator      pods/   processes
"""
