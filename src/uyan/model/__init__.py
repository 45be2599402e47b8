"""The network: features in, logits out. No I/O, no optimizer."""
