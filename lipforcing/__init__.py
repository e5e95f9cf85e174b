"""Real-time lip synchronisation by a causal video diffusion student (Lip Forcing, arXiv 2606.11180)."""

__version__ = "0.1.0"
