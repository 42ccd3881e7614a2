"""Load engine "k6": `mesh.load(k6="script.js")` runs the user's script by Grafana k6; each request becomes a RECORD.

    runner ── engine.py ──► bridge.py (a process) ──► k6 run ── wrapper.js ── the user's script, unchanged
                               ▲                        │
                               └── rows of CSV (rows.py) ┘  through a pipe

Never the instrument for downtime: k6's users wait for answers, so they fall silent exactly while the service is down,
and its arrival-rate executors drop what they cannot start (told as saturation).

What the records cannot tell, because k6 does not:
- requests of setup() and teardown(), and calls by gRPC or WebSocket, leave none (the latter are counted in a note);
- redirects that k6 follows are one request, from the first byte sent to the last one read;
- a request's intended time is the one at which it began: k6 does not say when it should have;
- of a failed request the beginning is known to 1 ms, of an answered one to 1 us or so;
- a reset inside an answer's head or body is "closed": Go says "unexpected EOF" for both;
- when a load is stopped before its script ends, requests under way are cut and leave none.
At most 256 virtual users in a load, as each has its part of the records.
"""
