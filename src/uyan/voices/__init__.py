"""Synthetic speech: an engine, and the corpus of the embedded demonstration."""
