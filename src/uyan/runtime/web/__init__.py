"""The detector in a browser: the page, what is served with it, and the server."""
