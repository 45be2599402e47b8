"""Learning: balanced batches in, one safetensors file of weights out."""
