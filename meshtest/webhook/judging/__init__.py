"""A gate that asks a Prometheus: `meshtest gate judge.yaml`, and suites of the endpoint with `judge: judge.yaml`.

    file.py      what judge.yaml says, with file:line for each mistake
    queries.py   which counters are read: of a mesh by its name, or the user's own; and Kayenta's queries
    counters.py  from counters to what was counted between two looks
    running.py   asks until there is a verdict, or the deadline; the line and the JSON that come of it

How it is decided: rollouts/judge (gate.py for counts, score.py for a canaryConfig).
"""
