"""A run from end to end, one file a stage: check, split and features in `prepare`, then `train`, `calibrate`,
`evaluate` and `export`; `run` is all of them in order, `workspace` the recipe and the folder they work in.
"""
