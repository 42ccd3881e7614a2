"""A canary in a Linkerd mesh: routes, retries, failure accrual, and a fault by a backend that fails."""
