"""The acceptance endpoint: what Flagger, Argo and people ask before a rollout goes on. Suites of tests answer, by name.

    payload.py    what Flagger sends; a malformed one is refused with one line
    suites.py     the allow-list: suites by name, with declared parameters; suite_file.py reads it
    runs.py       a run of a suite for a revision, and its states
    store.py      runs, verdicts and gates in SQLite; retention.py which of them are kept
    jobs.py       the queue and its workers; recovery.py what is settled after a crash
    keeper.py     the parent of a run's processes, a program; keeping.py is how the endpoint holds it
    work.py       what is started for a run; verdicts.py what its end means
    gates.py      open until the revision changes
    answers.py    from a state to the status and the line that Flagger shows
    app.py        the routes (Starlette); auth.py who may ask; page.py for people; openapi.py for programs
    client.py     how Flagger itself calls a webhook: retries, time-outs, which status is a yes; wire.py is one attempt
    effects.py    what Flagger does after an answer; check.py calls somebody's hook in every way
    snippets.py   YAML of a suite for a Canary and for Argo; embedded.py an endpoint for a rehearsal

A suite runs in a process of its own; nothing of a payload reaches a shell or a path. Starlette and uvicorn come with
`meshtest[webhook]` and are imported where they are used.
"""
