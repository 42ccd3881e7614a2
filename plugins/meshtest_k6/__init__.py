"""Load engine "k6": `mesh.load(k6="script.js")` runs the user's script by Grafana k6; each request becomes a RECORD.

    runner ── engine.py ──► bridge.py (a process) ──► k6 run ── wrapper.js ── the user's script, unchanged
                               ▲                        │
                               └── rows of CSV (rows.py) ┘  through a pipe

Never the instrument for downtime: k6's users wait for answers, so they fall silent exactly while the service is down,
and its arrival-rate executors drop what they cannot start.
"""
