"""Where the detector runs."""
