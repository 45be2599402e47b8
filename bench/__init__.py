"""What uyan claims about speed and memory, re-measured by one command: `python -m bench` (see README.md).

One file a claim, each a plain function from sizes to figures; nothing here is imported by the package.
"""
