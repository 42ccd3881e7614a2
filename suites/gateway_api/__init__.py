"""A rollout by HTTPRoutes: at a Gateway, and in the mesh (GAMMA)."""
