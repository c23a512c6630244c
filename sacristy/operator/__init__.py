"""Keeps what runs equal to what the stage says."""
