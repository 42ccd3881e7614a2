"""How a new version gets its traffic, step by step: the controllers of progressive delivery, as pure functions.

Not here: moving traffic (mesh/), sending load (loads/), judging requests (checks/).
"""
