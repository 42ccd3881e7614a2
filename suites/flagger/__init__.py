"""The suite that the endpoint runs for Flagger, and the endpoint in a cluster."""
