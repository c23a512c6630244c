"""stage -> running: start an image, ask whether it is ready, stop it."""
