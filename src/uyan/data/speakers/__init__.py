"""Who speaks, guessed from the voice."""
