"""Searches for better configurations: see README.md. Part of this runs in Ray's own environment (deploy/search)."""
