"""The pytest plugin of meshtest. Loading it imports nothing heavy: that happens in the fixtures, when a test asks."""
