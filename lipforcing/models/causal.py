"""The causal student as a stream."""

from __future__ import annotations

import torch
from torch import Tensor

from .cache import KVCache, RollingKVCache
from .conditioning import Conditioning
from .config import PATCH
from .transformer import WanTransformer


class CausalStream:
    """One run of the causal student: the model and the cache of what it has generated so far.

    Call it for the velocity of the current chunk; call ``remember`` once with the clean chunk to move on. Create one
    per clip and drop it with the clip.
    """

    def __init__(self, model: WanTransformer, cache_type: type[KVCache] = RollingKVCache) -> None:
        self.model = model
        self.cache_type = cache_type
        self.cache: KVCache | None = None

    def _cache_for(self, x: Tensor) -> KVCache:
        if self.cache is None:
            tokens = (x.shape[-2] // PATCH) * (x.shape[-1] // PATCH)
            self.cache = self.cache_type(self.model.config, x.shape[0], tokens, device=x.device, dtype=x.dtype)
        return self.cache

    def __call__(self, x_t: Tensor, sigma: float, conditioning: Conditioning) -> Tensor:
        """Velocity [B, 16, f, h, w] of the noisy chunk ``x_t`` at noise level ``sigma`` (0 to 1)."""
        level = torch.full((x_t.shape[0],), sigma, dtype=torch.float64)
        return self.model.forward_chunk(x_t, level, conditioning, self._cache_for(x_t))

    def remember(self, x0: Tensor, conditioning: Conditioning) -> None:
        """Store the finished chunk ``x0`` as context for the next one."""
        self.model.remember(x0, conditioning, self._cache_for(x0))
