"""The Wan-family transformer of Lip Forcing: bidirectional teacher and causal student over the same parameters.

(And the network that measures them, ``syncnet``, which is loaded like them.)
"""

from .conditioning import Conditioning, Inputs, Text
from .config import WanConfig
from .rotary import Geometry
from .timestep import TimeEmbedding, TimeTable
from .transformer import WanTransformer
from .window import Merged, Past, Rolling, StaticRolling, static_pasts

__all__ = [
    "Conditioning",
    "Geometry",
    "Inputs",
    "Merged",
    "Past",
    "Rolling",
    "StaticRolling",
    "Text",
    "TimeEmbedding",
    "TimeTable",
    "WanConfig",
    "WanTransformer",
    "static_pasts",
]
