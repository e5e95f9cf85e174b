"""Lip Forcing: lip synchronisation of video with causal video diffusion, as ComfyUI nodes.

ComfyUI loads this folder as a package under a name of its own choosing, so everything inside is imported relatively,
and only when the host asks for the nodes: importing this file does nothing. The engine is `lipforcing/`, the nodes are
`nodes/`; `lipforcing` alone can be installed and used without ComfyUI.
"""

WEB_DIRECTORY = "js"  # served at /extensions/<name of this folder>


def comfy_entrypoint():
    """The pack as the extension object that ComfyUI asks for (V3 node API)."""
    from .nodes import LipForcingExtension

    return LipForcingExtension()
