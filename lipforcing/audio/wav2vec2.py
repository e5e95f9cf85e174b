"""wav2vec2 features at 25 rows per second (docs/model.md, Audio features).

The network is the base model of Wav2Vec 2.0 (arXiv 2006.11477) in Hugging Face's variant with group norm in
the first convolution and layer norms after the sums. What is special to Lip Forcing: the transformer runs on
every second row of the convolutions, and its input and all its layers are returned side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import torch
import torch.nn.functional as F
from torch import nn

from ..timeline import SAMPLES_PER_FRAME

NORMALISE_EPS = 1e-7
BLOCK = 256  # frames, or as many frames' worth of samples, in the convolutions at a time
ROWS = 1024  # rows in the transformer at a time, where they do not need each other


@dataclass(frozen=True)
class Wav2Vec2Config:
    """Sizes of a Wav2Vec2 encoder; names as in Hugging Face's configuration in brackets.

    Attributes:
        width: hidden size (hidden_size).
        layers: transformer layers (num_hidden_layers).
        heads: attention heads (num_attention_heads).
        feed_forward: inner width of the feed-forward parts (intermediate_size).
        conv_channels, conv_kernels, conv_strides: the convolutions over the samples (conv_dim, conv_kernel,
            conv_stride); the strides multiply to 320 samples.
        position_kernel, position_groups: the positional convolution (num_conv_pos_embeddings,
            num_conv_pos_embedding_groups).
        eps: of layer and group norms.
    """

    width: int
    layers: int
    heads: int
    feed_forward: int
    conv_channels: tuple[int, ...]
    conv_kernels: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    position_kernel: int = 128
    position_groups: int = 16
    eps: float = 1e-5

    @classmethod
    def base_960h(cls) -> Wav2Vec2Config:
        """``facebook/wav2vec2-base-960h``, the reference's encoder: features of 14 x 768 = 10752."""
        return cls(width=768, layers=12, heads=12, feed_forward=3072, conv_channels=(512,) * 7)

    @property
    def receptive_field(self) -> int:
        """Samples that one row of the convolutions covers: 400."""
        field = 1
        for kernel, stride in zip(reversed(self.conv_kernels), reversed(self.conv_strides)):
            field = (field - 1) * stride + kernel
        return field


class Wav2Vec2(nn.Module):
    """The network: samples at 16 kHz into one row per 25 fps video frame. ``Wav2Vec2Encoder`` drives it.

    A row is the concatenation of the transformer's output, its input and the output of each of its layers:
    width x (layers + 2) values, the first and last width of which are equal.

    Args:
        config: sizes.
        operations: namespace with Linear, Conv1d, GroupNorm and LayerNorm, by default ``torch.nn``.
        device, dtype: passed through to every layer. Computation is in float32, as in the reference, so other
            types need operations that cast on use.
    """

    def __init__(
        self,
        config: Wav2Vec2Config,
        operations: ModuleType = nn,
        device: torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        place = {"device": device, "dtype": dtype}
        self.config = config
        self.feature_dim = config.width * (config.layers + 2)
        self.feature_extractor = SampleConvolutions(config, operations, place)
        self.feature_projection = Projection(config, operations, place)
        self.encoder = Encoder(config, operations, place)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """[640 T] of a whole recording, normalised and padded, into [T, feature_dim]."""
        convolutions = self.feature_extractor
        norm = convolutions.norm_of_recording(samples)
        return self.encoder(torch.cat([*map(self.feature_projection, convolutions(samples, norm))]))


def normalise(waveform: torch.Tensor) -> torch.Tensor:
    """Zero mean and unit variance over the whole recording [samples]."""
    variance, mean = torch.var_mean(waveform, correction=0)
    return (waveform - mean) / torch.sqrt(variance + NORMALISE_EPS)


class SampleConvolutions(nn.Module):
    """Seven convolutions without bias over the samples; GELU after each, group norm over all time in the first.

    The group norm has one group per channel, so with statistics given it is a scale and a shift per channel:
    "norm" here, a pair of [channels, 1].
    """

    def __init__(self, config: Wav2Vec2Config, operations: ModuleType, place: dict) -> None:
        super().__init__()
        self.config = config
        inputs = (1, *config.conv_channels)
        self.conv_layers = nn.ModuleList(
            ConvLayer(inputs[k], inputs[k + 1], kernel, stride, k == 0, config.eps, operations, place)
            for k, (kernel, stride) in enumerate(zip(config.conv_kernels, config.conv_strides))
        )

    def windows(self, samples: torch.Tensor) -> Iterator[torch.Tensor]:
        """The 400 samples that each row of [640 T] covers, in blocks of rows [k, 400]."""
        return iter(samples.unfold(0, self.config.receptive_field, SAMPLES_PER_FRAME).split(BLOCK))

    def forward(self, samples: torch.Tensor, norm: tuple[torch.Tensor, torch.Tensor]) -> Iterator[torch.Tensor]:
        """Rows [k, channels], one per 640 samples of [640 T], in blocks.

        The reference computes rows every 320 samples and then drops every second one (its interpolation from
        2 T - 1 to T rows does exactly that). Here each row is computed from the 400 samples that it covers,
        which is less work, and in blocks, which bounds the memory.
        """
        scale, shift = norm
        for block in self.windows(samples):
            x = block[:, None]
            for k, layer in enumerate(self.conv_layers):
                x = layer(x)
                x = F.gelu(x * scale + shift if k == 0 else x)
            yield x[:, :, 0]

    def norm(self, mean: torch.Tensor, variance: torch.Tensor, power: float | torch.Tensor = 1.0):
        """The first layer's normalisation for these statistics [channels] of its output.

        ``power`` is the variance of the samples that the output was made of. Samples x of any level give what the
        normalised ones (x - mean) / sqrt(power) would: the convolution has no bias, so that its output only scales
        by 1 / sqrt(power), which the norm undoes up to its epsilon.
        """
        parameters = self.conv_layers[0].layer_norm
        scale = parameters.weight.to(mean) / torch.sqrt(variance + self.config.eps * power)
        return scale[:, None], (parameters.bias.to(mean) - mean * scale)[:, None]

    def norm_of_recording(self, samples: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The first layer's normalisation with the statistics over all time of normalised [samples]."""
        stride, kernel = self.config.conv_strides[0], self.config.conv_kernels[0]
        positions = (len(samples) - kernel) // stride + 1
        step = BLOCK * SAMPLES_PER_FRAME // stride
        counts, means, variances = [], [], []
        for begin in range(0, positions, step):
            end = min(begin + step, positions)
            x = self.conv_layers[0](samples[begin * stride : (end - 1) * stride + kernel][None, None])[0]
            counts.append((end - begin) / positions)
            means.append(x.mean(1))
            variances.append(x.var(1, correction=0))
        share, means = samples.new_tensor(counts)[:, None], torch.stack(means)
        mean = (share * means).sum(0)
        return self.norm(mean, (share * (torch.stack(variances) + (means - mean).square())).sum(0))


class ConvLayer(nn.Module):
    """One convolution; the parameters of a norm per channel as well where ``norm`` says so."""

    def __init__(self, inputs, outputs, kernel, stride, norm, eps, operations, place) -> None:
        super().__init__()
        self.conv = operations.Conv1d(inputs, outputs, kernel, stride=stride, bias=False, **place)
        if norm:
            self.layer_norm = operations.GroupNorm(outputs, outputs, eps=eps, **place)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class Projection(nn.Module):
    """From the convolutions' channels to the transformer's width: [k, channels] -> [k, width]."""

    def __init__(self, config: Wav2Vec2Config, operations: ModuleType, place: dict) -> None:
        super().__init__()
        channels = config.conv_channels[-1]
        self.layer_norm = operations.LayerNorm(channels, eps=config.eps, **place)
        self.projection = operations.Linear(channels, config.width, **place)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return self.projection(self.layer_norm(rows))


class Encoder(nn.Module):
    """Transformer with a convolution for positions and norms after the sums."""

    def __init__(self, config: Wav2Vec2Config, operations: ModuleType, place: dict) -> None:
        super().__init__()
        self.pos_conv_embed = PositionConvolution(config, operations, place)
        self.layer_norm = operations.LayerNorm(config.width, eps=config.eps, **place)
        self.layers = nn.ModuleList(Layer(config, operations, place) for _ in range(config.layers))

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Projected rows [T, width] into [T, width x (layers + 2)]: last output, input, every layer's output."""
        states = rows.new_empty(len(rows), len(self.layers) + 2, rows.shape[1])
        states[:, 1] = self.layer_norm(rows + self.pos_conv_embed(rows))
        for k, layer in enumerate(self.layers, start=1):
            states[:, k + 1] = layer(states[:, k])
        states[:, 0] = states[:, -1]
        return states.flatten(1)


class PositionConvolution(nn.Module):
    """Grouped convolution over time, GELU. Its weight norm is folded when weights are loaded."""

    def __init__(self, config: Wav2Vec2Config, operations: ModuleType, place: dict) -> None:
        super().__init__()
        kernel, groups = config.position_kernel, config.position_groups
        self.conv = operations.Conv1d(config.width, config.width, kernel, padding=kernel // 2, groups=groups, **place)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        # Padding of half an even kernel on both sides gives one row too many at the end.
        return F.gelu(self.conv(rows.T[None])[0, :, : len(rows)].T)


class Layer(nn.Module):
    """Self-attention and feed-forward, a layer norm after each sum: [T, width] -> [T, width]."""

    def __init__(self, config: Wav2Vec2Config, operations: ModuleType, place: dict) -> None:
        super().__init__()
        self.attention = Attention(config, operations, place)
        self.layer_norm = operations.LayerNorm(config.width, eps=config.eps, **place)
        self.feed_forward = FeedForward(config, operations, place)
        self.final_layer_norm = operations.LayerNorm(config.width, eps=config.eps, **place)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer_norm(x + self.attention(x))
        return self.final_layer_norm(x + self.feed_forward(x))


class Attention(nn.Module):
    """Multi-head self-attention over all rows; queries in blocks, so that memory is linear with every backend."""

    def __init__(self, config: Wav2Vec2Config, operations: ModuleType, place: dict) -> None:
        super().__init__()
        self.heads = config.heads
        self.q_proj = operations.Linear(config.width, config.width, **place)
        self.k_proj = operations.Linear(config.width, config.width, **place)
        self.v_proj = operations.Linear(config.width, config.width, **place)
        self.out_proj = operations.Linear(config.width, config.width, **place)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            project(x).unflatten(-1, (self.heads, -1)).transpose(0, 1)[None]
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        blocks = [F.scaled_dot_product_attention(block, k, v) for block in q.split(ROWS, dim=2)]
        return self.out_proj(torch.cat(blocks, dim=2)[0].transpose(0, 1).flatten(1))


class FeedForward(nn.Module):
    """Two linear layers with GELU between; the rows in blocks, which bounds the memory of the wide part."""

    def __init__(self, config: Wav2Vec2Config, operations: ModuleType, place: dict) -> None:
        super().__init__()
        self.intermediate_dense = operations.Linear(config.width, config.feed_forward, **place)
        self.output_dense = operations.Linear(config.feed_forward, config.width, **place)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.output_dense(F.gelu(self.intermediate_dense(rows))) for rows in x.split(ROWS)])


POSITION_CONV = "encoder.pos_conv_embed.conv."
WEIGHT_NORM_NAMES = (
    ("weight_g", "weight_v"),
    ("parametrizations.weight.original0", "parametrizations.weight.original1"),
)
UNUSED = ("masked_spec_embed", "lm_head.", "quantizer.", "project_q.", "project_hid.")


def encoder_state_dict(published: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Published Hugging Face weights in the key layout of ``Wav2Vec2``, without a copy but for one tensor.

    Accepts keys with and without the prefix ``wav2vec2.``, and either naming of the positional convolution's
    weight norm, which is folded into one weight: g v / |v| with the norm over all but the kernel axis.
    Tensors that only pretraining and the letter head use are left out.
    """
    state = {key.removeprefix("wav2vec2."): value for key, value in published.items()}
    state = {key: value for key, value in state.items() if not key.startswith(UNUSED)}
    for names in WEIGHT_NORM_NAMES:
        keys = [POSITION_CONV + name for name in names]
        if all(key in state for key in keys):
            g, v = (state.pop(key) for key in keys)
            norm = v.float().norm(dim=(0, 1), keepdim=True)
            state[POSITION_CONV + "weight"] = (v.float() * (g.float() / norm)).to(v.dtype)
    return state
