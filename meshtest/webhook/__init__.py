"""The acceptance endpoint: what Flagger, Argo and people ask before a rollout goes on. Suites of tests answer, by name.

    payload.py    what Flagger sends; a malformed one is refused with one line
    suites.py     the allow-list: suites by name, with declared parameters; suite_file.py reads it
    runs.py       a run of a suite for a revision, and its states
    store.py      runs, verdicts and gates in SQLite; retention.py which of them are kept
    jobs.py       the queue and its workers; recovery.py what is settled after a crash
    keeper.py     the parent of a run's processes, a program; keeping.py is how the endpoint holds it
    work.py       what is started for a run; verdicts.py what its end means
    revisions.py  which revision a call is about, and what ends when another appears
    hooks.py      Flagger's hooks; confirm.py the one that is asked before there is a revision
    gates.py      open for one revision; loadtester.py the addresses of flagger-loadtester, k6.py, argo.py of others
    answers.py    from a state to the status and the line that Flagger shows; refusal.py what is none of its states
    app.py        every request's way: call.py its limits, auth.py who may ask, routes.py what there is
    listing.py    runs for programs; page.py for people; files.py reports; numbers.py metrics; openapi.py all of it
    server.py     a socket until SIGTERM; protocol.py the limits of a request's head; descriptors.py of open files
    trouble.py    what a full disk or the want of files looks like, which is no verdict
    renewal.py    tokens and certificates that change while it serves
    endpoint.py   what the handlers share
    client.py     how Flagger itself calls a webhook: retries, time-outs, which status is a yes; wire.py is one attempt
    effects.py    what Flagger does after an answer; check.py calls somebody's hook in every way
    snippets.py   YAML of a suite for a Canary and for Argo; embedded.py an endpoint for a rehearsal

A suite runs in a process of its own; nothing of a payload reaches a shell or a path. Starlette and uvicorn come with
`meshtest[webhook]` and are imported where they are used.
"""
