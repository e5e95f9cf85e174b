"""The host's public node API, imported in this one place so that its source can change in one place."""

from comfy_api.latest import ComfyExtension, io

__all__ = ["ComfyExtension", "io"]
