"""The same routes from outside (north-south) and inside (east-west)."""
