"""Recordings in, training batches out: manifest → check → split → features → batches."""
