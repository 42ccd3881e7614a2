"""Flagger's Canary, rehearsed: its ticks (rollouts/canary) performed on a mesh, with time compressed.

    rehearsal.py  a run of ticks: `mesh.canary("canary.yaml").run(to="v2")`
    world.py      performs the steps of a tick: objects onto the mesh, readiness, revisions
    traffic.py    the users: loads from `--traffic` and from the load tests that the Canary's webhooks name
    measures.py   metrics as Flagger reads them, from a Prometheus on the Canary's clock
    hooks.py      webhooks: the user's own URLs if allowed, else the embedded endpoint
    mutants.py    the same Canary against a catalogue of bad and good versions

What comes out is a model.rehearsal.Rehearsal.
"""
