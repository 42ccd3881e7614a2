"""Loads that can be trusted, and what they catch that others miss."""
