"""Who sees which version, by header and cookie."""
