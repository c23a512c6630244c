"""The `kubernetes` target: manifests as data, one client that applies them, rollouts, and what hinders them."""
