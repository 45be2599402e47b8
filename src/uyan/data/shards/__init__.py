"""Features packed in few large files."""
