"""Model sizes."""

from __future__ import annotations

from dataclasses import dataclass

PATCH = 2  # spatial patch edge; in time every latent frame is a patch of its own


@dataclass(frozen=True)
class WanConfig:
    """Sizes of one transformer (docs/model.md, Sizes).

    Attributes:
        dim: width of the residual stream.
        ffn_dim: hidden width of the feed-forward network.
        num_heads: attention heads; ``dim / num_heads`` must be even.
        num_layers: transformer blocks.
        in_dim: input channels: 16 noisy latent, 16 reference latent, 1 mouth mask, 16 masked video, 16 reference
            sequence.
        out_dim: output channels (velocity).
        text_dim: width of the text encoder's output.
        text_len: text positions; shorter prompts are padded with zeros, which do take part in cross-attention.
        freq_dim: length of the sinusoidal timestep embedding.
        audio_dim: width of the audio features of one video frame.
        audio_hidden: width of the packed audio vector of one latent frame.
        eps: epsilon of RMSNorm and LayerNorm in the blocks and the head.
    """

    dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int
    in_dim: int = 65
    out_dim: int = 16
    text_dim: int = 4096
    text_len: int = 512
    freq_dim: int = 256
    audio_dim: int = 10752
    audio_hidden: int = 32
    eps: float = 1e-6

    @property
    def head_dim(self) -> int:
        return self.dim // self.num_heads

    @property
    def audio_blocks(self) -> range:
        """Blocks that receive audio, before they run; block ``i`` uses projection ``i - 2``."""
        return range(2, self.num_layers // 2 + 1)

    def forward_flops(self, tokens: int, keys: int, text: int) -> float:
        """Floating-point operations of the blocks in one forward: nearly all that a forward does.

        Args:
            tokens: of the latent frames that run.
            keys: tokens that each of them sees.
            text: positions of the prompt that each of them sees.
        """
        linear = 2 * tokens * (6 * self.dim**2 + 2 * self.dim * self.ffn_dim)  # q k v o, q o; feed-forward
        attention = 4 * tokens * (keys + text) * self.dim
        return self.num_layers * (linear + attention)


def wan_14b() -> WanConfig:
    """The released Lip Forcing student and its teacher."""
    return WanConfig(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40)


def wan_1_3b() -> WanConfig:
    """The small student of the paper."""
    return WanConfig(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30)


def tiny() -> WanConfig:
    """The embedded model: 16 x 16 latents, log-mel audio, no text encoder (its text is one vector of zeros)."""
    return WanConfig(
        dim=128,
        ffn_dim=384,
        num_heads=4,
        num_layers=6,
        text_dim=8,
        text_len=1,
        freq_dim=64,
        audio_dim=384,
        audio_hidden=48,
    )


PRESETS = {"wan_14b": wan_14b, "wan_1_3b": wan_1_3b, "tiny": tiny}
