"""Arguments and printing, nothing else; one file for each group of commands."""
