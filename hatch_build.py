"""Puts onnxruntime-web into the wheel, for `uyan web`; without npm the wheel is built all the same, and says so."""

import runpy
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class VendorHook(BuildHookInterface):
    """Fetches what is missing before a wheel is built or the checkout is installed."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version` is hatchling's: "standard" or "editable"."""
        vendor = runpy.run_path("src/uyan/runtime/web/vendor_files.py")
        try:
            if vendor["missing"]():
                vendor["fetch"]()
        except OSError as reason:
            self.app.display_warning(f"uyan web will not work: {reason}; later: {vendor['COMMAND']}")
        build_data["artifacts"] += [f"src/uyan/runtime/web/vendor/{name}" for name in vendor["FILES"]]
