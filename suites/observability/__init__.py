"""What traces show of a rollout, and what only they show."""
