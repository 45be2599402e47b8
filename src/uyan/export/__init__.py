"""A trained network becomes one portable file."""
