"""What a run says in the terms of observability: metrics worked out exactly, who called whom.

Pure functions over a History. Not here: where spans and series come from (plugins), how they are shown (reporters/).
"""
