"""From v1 to v2 by weights, with zero downtime."""
