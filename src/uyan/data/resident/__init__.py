"""Features that stay on the device, and batches made there."""
