"""All that a site without a network needs, in one folder: made where there is one, loaded where there is none."""
