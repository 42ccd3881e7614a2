"""security.istio.io: who may call whom, and how both prove who they are."""
