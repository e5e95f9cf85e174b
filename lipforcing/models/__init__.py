"""The Wan-family transformer of Lip Forcing: bidirectional teacher and causal student over the same parameters."""

from .cache import FullKVCache, RollingKVCache
from .causal import CausalStream
from .conditioning import Conditioning
from .config import WanConfig
from .transformer import WanTransformer

__all__ = ["CausalStream", "Conditioning", "FullKVCache", "RollingKVCache", "WanConfig", "WanTransformer"]
