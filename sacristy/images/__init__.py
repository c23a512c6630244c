"""From a run to an image in a registry: deterministic layers, one manifest, no daemon."""
