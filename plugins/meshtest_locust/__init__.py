"""Locust as a load engine of meshtest: journeys of users, always in a process of its own, every request on record.

    pytest process                    child (python -m meshtest_locust.child)
    ┌──────────────┐  order, "stop"   ┌─────────────────────────────────────────────┐
    │ engine.py    ├─────────────────►│ child.py    Locust's own main(), unchanged  │
    │              │◄─────────────────┤ http_user.py, fast_user.py its HTTP clients:│
    └──────┬───────┘  lines of JSON   │      routed to the mesh, recorded, no resend│
           │                          │ selftest.py  proves that before it begins   │
           │ reads                    │ cluster.py   workers, here and elsewhere    │
           ▼                          └───────────────────────┬─────────────────────┘
     requests/NAME.bin, NAME+1.bin ... ◄──────────────────────┘ journal.py

Never imported beside the tests: Locust replaces sockets, threads and processes of whoever imports it.
"""
