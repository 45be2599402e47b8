"""Judging: the shipping detector over continuous audio, and figures that carry their denominators."""
