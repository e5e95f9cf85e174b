"""The host's VAE and AUDIO_ENCODER as our codecs and audio encoder, and our codec as its VAE. No weights are copied."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...lipforcing.errors import InputError
from ...lipforcing.timeline import TEMPORAL_FACTOR
from . import check_cancelled, still_cancelled

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ...lipforcing.audio.base import Window
    from ...lipforcing.audio.wav2vec2_encoder import Wav2Vec2Encoder
    from ...lipforcing.codecs.base import StreamingDecoder, StreamingEncoder, VideoCodec


def graft(ours: nn.Module, theirs: nn.Module, adapt: Callable[[nn.Module], nn.Module], what: str) -> nn.Module:
    """Give `ours` (on the meta device) the layers of `theirs` that have the same names; weights are shared, not copied.

    Args:
        ours: network whose layers with parameters are replaced.
        theirs: the host's network of the same architecture and key names.
        adapt: called with each of the host's layers, returns what to use in its place.
        what: the expected model, for the message.

    Raises:
        InputError: a layer is missing or of another shape.
    """
    for name, layer in list(ours.named_modules()):
        shapes = {key: value.shape for key, value in layer.named_parameters(recurse=False)}
        if not shapes:
            continue
        try:
            found = theirs.get_submodule(name)
        except AttributeError:
            found = None
        if found is None or any(
            getattr(found, key, None) is None or getattr(found, key).shape != shape for key, shape in shapes.items()
        ):
            raise InputError(f"{type(theirs).__name__} is not {what}: layer {name} is missing or has another size.")
        parent, _, leaf = name.rpartition(".")
        setattr(ours.get_submodule(parent), leaf, adapt(found))
    return ours


def codec_of(vae: Any) -> HostCodec:
    """The streaming codec over a VAE's weights.

    Raises:
        InputError: neither a Wan 2.1 VAE nor a TAEHV for it, nor the tiny one.
    """
    import torch

    from ...lipforcing.codecs.taehv import TAEHV, taew2_1
    from ...lipforcing.codecs.tiny import TinyCodec
    from ...lipforcing.codecs.wan_vae import WanVAE, WanVAEConfig
    from ...lipforcing.stream.family import RELEASED_CROP_SIZE
    from ...lipforcing.tiny import family

    theirs, meta = vae.first_stage_model, torch.device("meta")
    if isinstance(theirs, TinyCodec):
        codec: VideoCodec = theirs
    elif hasattr(theirs, "temperal_downsample") and getattr(theirs, "z_dim", None) == 16:
        sizes = WanVAEConfig(
            theirs.dim, theirs.z_dim, tuple(theirs.dim_mult), theirs.num_res_blocks, tuple(theirs.temperal_downsample)
        )
        codec = graft(WanVAE(sizes, device=meta), theirs, _without_padding, "a Wan 2.1 VAE")
    elif type(theirs).__name__ == "TAEHV":
        codec = graft(TAEHV(taew2_1(), device=meta), theirs, lambda layer: layer, "a TAEHV for Wan 2.1 (taew2_1)")
    else:
        raise InputError(
            f"The VAE input holds {type(theirs).__name__}; connect wan_2.1_vae.safetensors or taew2_1.safetensors "
            "(Load VAE), or Lip Forcing Tiny VAE for the tiny model."
        )
    return HostCodec(codec, vae, family.CROP_SIZE if codec is theirs else RELEASED_CROP_SIZE)


def _without_padding(layer: nn.Module) -> nn.Module:
    """The host's causal convolution without its own padding in time: our streams put real frames in front."""
    from torch import nn

    return _unpadded_class()(layer) if isinstance(layer, nn.Conv3d) else layer


@functools.lru_cache(maxsize=1)
def _unpadded_class() -> type[nn.Module]:
    import comfy.ops
    from torch import nn

    class Unpadded(nn.Module):
        def __init__(self, layer: nn.Conv3d) -> None:
            super().__init__()
            self.layer = layer
            self.kernel_size = layer.kernel_size

        def forward(self, x: Tensor) -> Tensor:
            return comfy.ops.disable_weight_init.Conv3d.forward(self.layer, x)

    return Unpadded


class HostCodec:
    """A `VideoCodec` over weights that the host manages; frames and latents keep the caller's dtype and device.

    Streams take one latent frame at a time whatever they are given: the same result at a third of the memory.

    Attributes:
        patcher: what has to be loaded while streams run.
        crop_size: edge in pixels of the face crops that its models work on.
        memory: bytes that a stream works in, by the host's own estimate.
    """

    def __init__(self, codec: VideoCodec, vae: Any, crop_size: int) -> None:
        self.codec = codec
        self.crop_size = crop_size
        self.patcher = vae.patcher
        self.latent_channels, self.spatial_factor = codec.latent_channels, codec.spatial_factor
        self.look_ahead = codec.look_ahead
        self._dtype = vae.vae_dtype
        edge = crop_size // self.spatial_factor
        self.memory = max(
            vae.memory_used_encode((2, 3, 1 + TEMPORAL_FACTOR, crop_size, crop_size), self._dtype),
            vae.memory_used_decode((1, self.latent_channels, 1, edge, edge), self._dtype),
        )

    def encode_stream(self) -> StreamingEncoder:
        first = 1 + TEMPORAL_FACTOR + self.look_ahead
        return Piecewise(self.codec.encode_stream(), first, TEMPORAL_FACTOR, self.patcher.load_device, self._dtype)

    def decode_stream(self, *, clamp: bool = True) -> StreamingDecoder:
        return Piecewise(self.codec.decode_stream(clamp=clamp), 1, 1, self.patcher.load_device, self._dtype)


class Piecewise:
    """A codec stream that is given its input [B, C, T, H, W] in pieces, where and as its weights want it.

    Every piece is a cancel point.

    Args:
        stream: takes the pieces.
        first, later: frames of the first piece of all, and of each after it.
        device, dtype: of the weights; a flag of the host may keep VAEs on another device than the student.
    """

    def __init__(self, stream: Any, first: int, later: int, device: Any, dtype: Any) -> None:
        self._stream, self._next, self._later = stream, first, later
        self._place = (device, dtype)

    def __call__(self, x: Tensor) -> Tensor:
        import torch

        results, start = [], 0
        while start < x.shape[2]:
            check_cancelled()
            end, self._next = start + self._next, self._later
            with still_cancelled():
                results.append(self._stream(x[:, :, start:end].to(*self._place)))
            start = end
        return torch.cat(results, dim=2).to(x)

    def copy(self) -> Piecewise:
        return Piecewise(self._stream.copy(), self._next, self._later, *self._place)


def vae_of(codec: nn.Module) -> Any:
    """A codec of ours as the host's VAE, for its encode and decode nodes as well as for ours."""
    return _vae_class()(codec)


@functools.lru_cache(maxsize=1)
def _vae_class() -> type:
    import comfy.latent_formats
    import comfy.model_management as management
    import comfy.model_patcher
    import comfy.sd
    import torch

    from ...lipforcing.codecs import base
    from ...lipforcing.timeline import frames_for_latents, latents_for_frames

    class CodecVAE(comfy.sd.VAE):
        """The host recognises its own VAEs by their keys, which ours are not among; so nothing of its set-up runs."""

        def __init__(self, codec: nn.Module) -> None:
            self.first_stage_model = codec
            self.device = management.vae_device()
            self.output_device = management.intermediate_device()
            self.vae_dtype = next(codec.parameters()).dtype
            self.patcher = comfy.model_patcher.ModelPatcher(
                codec, load_device=self.device, offload_device=management.vae_offload_device()
            )
            self.latent_channels, self.latent_dim, self.output_channels = codec.latent_channels, 3, 3
            factor = codec.spatial_factor
            self.upscale_ratio = (frames_for_latents, factor, factor)
            self.downscale_ratio = (latents_for_frames, factor, factor)
            self.upscale_index_formula = self.downscale_index_formula = (TEMPORAL_FACTOR, factor, factor)
            self.format = comfy.latent_formats.Wan21()
            # Some hundred numbers per pixel of a frame and its block of four.
            self.memory_used_encode = lambda shape, dtype: 400 * shape[2] * shape[3] * shape[4] * dtype.itemsize
            self.memory_used_decode = lambda shape, dtype: self.memory_used_encode(
                (1, 3, TEMPORAL_FACTOR * shape[2], factor * shape[3], factor * shape[4]), dtype
            )
            self.crop_input, self.not_video, self.extra_1d_channel, self.size = True, False, None, None

        @torch.inference_mode()
        def encode(self, pixel_samples):
            """IMAGE [T, H, W, C] or [1, T, H, W, C] in [0, 1] to a latent [1, 16, t, H/8, W/8] as the host keeps it."""
            management.load_models_gpu([self.patcher])
            frames = pixel_samples.reshape(-1, *pixel_samples.shape[-3:])[..., :3]
            factor = self.first_stage_model.spatial_factor
            height, width = (side // factor * factor for side in frames.shape[1:3])
            frames = frames[: frames_for_latents(latents_for_frames(len(frames))), :height, :width]
            video = frames.permute(3, 0, 1, 2)[None].to(self.device, self.vae_dtype) * 2 - 1
            return self.format.process_out(base.encode(self.first_stage_model, video).to(self.output_device))

        @torch.inference_mode()
        def decode(self, samples_in, *_, **__):
            """The inverse of `encode`: [1, T, H, W, 3]."""
            management.load_models_gpu([self.patcher])
            latents = self.format.process_in(samples_in.to(self.device, self.vae_dtype))
            video = base.decode(self.first_stage_model, latents)
            return (video.permute(0, 2, 3, 4, 1).float() + 1).div(2).to(self.output_device)

        def encode_tiled(self, pixel_samples, *_, **__):
            """As `encode`: the codec is small."""
            return self.encode(pixel_samples)

        decode_tiled = decode

        def get_sd(self):
            return self.first_stage_model.state_dict()

    return CodecVAE


def load_audio_encoder(path: str) -> Any:
    """The AUDIO_ENCODER in a file, as the host's own loader gives it."""
    import comfy.audio_encoders.audio_encoders
    import comfy.utils

    weights = comfy.utils.load_torch_file(path, safe_load=True)
    return comfy.audio_encoders.audio_encoders.load_audio_encoder_from_sd(weights)


def audio_encoder_of(encoder: Any, window: Window | None = None) -> Wav2Vec2Encoder:
    """Our wav2vec2 over the weights of an AUDIO_ENCODER (the host's own runs at 50 Hz on other input).

    Its streams load the weights when they need them, and end when the host's user cancels.

    Raises:
        InputError: another encoder than wav2vec2 of the base size.
    """
    import comfy.model_management as management
    import torch

    from ...lipforcing.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config
    from ...lipforcing.audio.wav2vec2_encoder import Wav2Vec2Encoder

    ours = Wav2Vec2(Wav2Vec2Config.base_960h(), device=torch.device("meta"))
    network = graft(ours, encoder.model, lambda layer: layer, "wav2vec2-base-960h")
    first = network.feature_extractor.conv_layers[0]  # all work begins here
    first.register_forward_pre_hook(lambda *_: management.load_models_gpu([encoder.patcher]))
    for part in (first, *network.encoder.layers):
        part.register_forward_pre_hook(lambda *_: check_cancelled())
    return Wav2Vec2Encoder(network, window, torch.device(encoder.load_device))
