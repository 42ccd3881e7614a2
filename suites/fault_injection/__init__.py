"""Delays and aborts for marked requests only."""
