"""Wake-word engines side by side: each hears the same stream, in the same run, from its own virtual environment.

`python -m bench.peers --help`; README.md beside this package says what the figures mean. `protocol` and the workers run
inside the engines' environments and use nothing but the standard library and their engine.
"""
