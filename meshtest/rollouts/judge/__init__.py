"""Canary against baseline, for a gate. Two judges, both pure:

    gate.py      ours: request counts as they come, stops as soon as it knows, with declared errors
    score.py     Kayenta's NetflixACAJudge-v1.0: series of values after the fact, a score, JSON in and out
                 (config.py reads a canaryConfig, samples.py cleans, mann_whitney.py compares, classify.py decides
                 each metric)

Not here: who asks a Prometheus for the numbers (webhook/judging/).
"""
