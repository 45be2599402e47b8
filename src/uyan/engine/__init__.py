"""Where lists of independent tasks and whole runs are done: on this computer, or on a cluster."""
