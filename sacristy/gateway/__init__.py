"""Where users meet the models: one address for all of them, and a page for each."""
