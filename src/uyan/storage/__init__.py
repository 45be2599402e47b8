"""Where files are: a path on this computer or a URL. What needs no URL needs none of the packages that read them."""
