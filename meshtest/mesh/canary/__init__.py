"""Flagger's Canary, rehearsed: its ticks (rollouts/canary) performed on a mesh, with time compressed.

    rehearsal.py  a run of ticks: `mesh.canary("canary.yaml").run(to="v2")`
    story.py      what happened in it, and the sentences that sum it up; length.py how many ticks it may take
    stage.py      the Canary among the manifests, with stand-ins for what is missing; revision.py what is rolled out
    world.py      performs the steps of a tick: objects onto the mesh, revisions; rolled.py is who is ready
    clock.py      production's clock, compressed; fault.py what the new revision does wrong
    traffic.py    the users: loads from `--traffic` and from the load tests that webhooks name (commands.py)
    measures.py   metrics as Flagger reads them, from a Prometheus on the Canary's clock
    hooks.py      webhooks: the user's own URLs if allowed, else the embedded endpoint
    mutants.py    bad and good versions, a catalogue; trials.py runs a Canary against it (pace.py: how fast; answers.py:
                  what only a client sees), trial.py is what came of one

What comes out is a model.rehearsal.Rehearsal.
"""
