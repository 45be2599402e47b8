"""Public data sets as manifests: one file each knows the layout, the official splits and the terms of one of them."""
