"""A training in a pod: what its container runs. See README.md."""

UNSENT_EXIT_CODE = 75  # as in sysexits.h: the training went well, and its run is not in MongoDB
