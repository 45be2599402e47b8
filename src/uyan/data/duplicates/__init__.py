"""The same take under another name, gain, offset or encoding."""
