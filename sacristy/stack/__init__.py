"""The services of the embedded stack: made, started, watched, stopped."""
