"""One small script an engine, run by the Python of that engine's own virtual environment."""
