"""The host's models: ours as its MODEL, and its VAE and AUDIO_ENCODER as our codecs and audio encoder.

The second half of the host boundary (see `host.py`, whose rules hold here as well): everything that touches
`comfy.model_base`, `comfy.model_patcher`, `comfy.ops` and the like. No weights are copied. Networks are built with the
host's `operations`, so that its offloading, casting, quantised layers and LoRA patches work on them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..lipforcing.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..lipforcing.checkpoints import Checkpoint
    from ..lipforcing.codecs.base import StreamingDecoder, StreamingEncoder, VideoCodec
    from ..lipforcing.models import Conditioning, WanConfig
    from ..lipforcing.models.cache import KVCache
    from ..lipforcing.models.conditioning import TextKV

STEP = "lipforcing_step"  # key of `transformer_options` for a step of the causal student
CHANNELS = "lipforcing_channels"  # keys that LipForcingConditioning adds to CONDITIONING entries
AUDIO = "lipforcing_audio"


@dataclass(frozen=True)
class ModelInfo:
    """What the nodes need to know of a MODEL of ours.

    Attributes:
        config: sizes of the transformer.
        crop_size: edge in pixels of the face crops that it was trained on.
        sigmas: noise levels that the student was distilled for.
        name: file it came from.
        causal: whether it is a student.
    """

    config: WanConfig
    crop_size: int
    sigmas: tuple[float, ...]
    name: str
    causal: bool


def model_info(patcher: Any, wanted: str = "a Lip Forcing model") -> ModelInfo:
    """What a MODEL is.

    Raises:
        InputError: another model than ours.
    """
    info = getattr(patcher.model, "lipforcing", None)
    if info is None:
        raise InputError(
            f"The model input holds {type(patcher.model).__name__}, not {wanted}; connect a Lip Forcing loader."
        )
    return info


def load_model(checkpoint: Checkpoint, info: ModelInfo, dtype: str = "default") -> Any:
    """A transformer of ours as the host's MODEL (a model patcher), its weights still on the offload device.

    Args:
        checkpoint: opened and complete; its tensors may be backed by the file.
        info: see `ModelInfo`.
        dtype: "default" (the host decides by file and device), "fp8_e4m3fn", "bf16", "fp16" or "fp32": the type in
            which weights are kept. A file with scaled float8 layers keeps these as they are.
    """
    import comfy.model_management as management
    import comfy.model_patcher
    import torch

    config_class, model_class = _model_classes()
    weights, quantised = host_state_dict(checkpoint)
    device = management.get_torch_device()
    dtypes = {"fp8_e4m3fn": torch.float8_e4m3fn, "bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
    parameters = sum(tensor.numel() for tensor in weights.values())
    stored = weights["patch_embedding.weight"].dtype
    kept = dtypes.get(dtype) or management.unet_dtype(
        model_params=parameters, weight_dtype=None if quantised else stored
    )
    config = config_class({"config": info.config})
    config.quant_config = {"mixed_ops": True} if quantised else None
    config.memory_usage_factor = info.config.dim / 2222  # as the host rates other Wan models
    cast = management.unet_manual_cast(None if quantised else kept, device, config.supported_inference_dtypes)
    config.set_inference_dtype(kept, cast)

    model = model_class(config, info)
    patcher = comfy.model_patcher.CoreModelPatcher(
        model, load_device=device, offload_device=management.unet_offload_device()
    )
    model.load_model_weights(weights, "", assign=patcher.is_dynamic())
    return patcher


def host_state_dict(checkpoint: Checkpoint) -> tuple[dict[str, Tensor], bool]:
    """Tensors under official names as the host's layers load them, and whether some are in scaled float8.

    Such a layer is announced by a `comfy_quant` tensor next to its weight, which names the format.
    """
    import torch

    from ..lipforcing.checkpoints.quantization import FORMAT, OLD_SCALE, SCALE

    scales = [name for name in checkpoint.stored if name.endswith((SCALE, OLD_SCALE))]
    if not scales:
        return dict(checkpoint.weights), False
    entry = torch.tensor(list(f'{{"format": "{FORMAT}"}}'.encode()), dtype=torch.uint8)
    state = {name: checkpoint.stored[name] for name in checkpoint.weights}
    for name in scales:
        layer = name.removesuffix(SCALE).removesuffix(OLD_SCALE)
        state[layer + SCALE] = checkpoint.stored[name].float()
        state[f"{layer}.comfy_quant"] = entry
    return state, True


@functools.lru_cache(maxsize=1)
def _model_classes() -> tuple[type, type]:
    """The host's model configuration and `BaseModel`, subclassed; made here because importing them takes seconds."""
    import comfy.conds
    import comfy.latent_formats
    import comfy.model_base
    import comfy.supported_models_base
    import torch
    from comfy.ldm.modules.attention import optimized_attention

    from ..lipforcing.models import Conditioning, WanTransformer

    class HostAttention:
        """The host's attention back-end, chosen by its flags and by what patches say, as ours."""

        def __init__(self) -> None:
            self.transformer_options: dict = {}

        def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            heads = q.shape[2]
            options = self.transformer_options
            out = optimized_attention(q.flatten(2), k.flatten(2), v.flatten(2), heads, transformer_options=options)
            return out.unflatten(2, (heads, -1))

    class HostTransformer(WanTransformer):
        """`WanTransformer` with the host's calling convention."""

        def __init__(self, config: WanConfig, dtype=None, device=None, operations=None) -> None:
            self.dtype = dtype
            super().__init__(config, operations, HostAttention(), device=device, dtype=dtype)
            # One object for all blocks: it has no parameters and learns the options of each call.
            self.host_attention = self.blocks[0].self_attn.attention

        # Small tables in float64 on the CPU, from positions that change from chunk to chunk: not worth compiling.
        rotary = torch.compiler.disable(WanTransformer.rotary)

        def forward(
            self, x: Tensor, timestep: Tensor, context=None, control=None, transformer_options=None, audio=None, **_
        ) -> Tensor:
            """Velocity of what the host's samplers hand over, or a step of the causal student.

            Args:
                x: [B, 16 + 49, f, h, w], noisy latent and conditioning channels; the student's step: [B, 16, 3, h, w].
                timestep: [B], 0 to 1000.
                context: text embedding [B, positions, text_dim].
                audio: features of 4 f - 3 video frames [B, 4 f - 3, audio_dim].
            """
            self.host_attention.transformer_options = transformer_options
            sigma = timestep / 1000
            if STEP in transformer_options:
                return transformer_options[STEP](self, x, sigma)
            text = self.embed_text(prompt_for(self.config, context))
            conditioning = Conditioning.from_channels(x[:, 16:], self.embed_audio(audio), text)
            return super().forward(x[:, :16], sigma, conditioning)

    class HostModel(comfy.model_base.BaseModel):
        """A Lip Forcing transformer among the host's models: samplers, LoRA loaders and patches know it as Wan."""

        def __init__(self, model_config, info: ModelInfo) -> None:
            super().__init__(model_config, comfy.model_base.ModelType.FLOW, unet_model=HostTransformer)
            self.lipforcing = info

        def extra_conds(self, **kwargs):
            out = super().extra_conds(**kwargs)
            if CHANNELS not in kwargs:
                raise InputError(
                    "The conditioning carries no face and no speech; send it through Lip Forcing Conditioning first."
                )
            channels, latent = kwargs[CHANNELS], kwargs["noise"]
            if channels.shape[2:] != latent.shape[2:]:
                raise InputError(
                    f"The latent has frames, height, width {list(latent.shape[2:])}, the conditioning "
                    f"{list(channels.shape[2:])}; use the latent that Lip Forcing Conditioning gives."
                )
            width = self.lipforcing.config.audio_dim
            if kwargs[AUDIO].shape[-1] != width:
                raise InputError(
                    f"The speech in the conditioning has {kwargs[AUDIO].shape[-1]} numbers per frame, the model takes "
                    f"{width}; tiny models go with an open audio_encoder, released ones with wav2vec2-base-960h."
                )
            out["c_concat"] = comfy.conds.CONDNoiseShape(channels)
            out["c_crossattn"] = comfy.conds.CONDRegular(kwargs["cross_attn"])
            out["audio"] = comfy.conds.CONDRegular(kwargs[AUDIO])
            return out

    class HostConfig(comfy.supported_models_base.BASE):
        unet_extra_config = {}  # noqa: RUF012 - the host's base class copies both
        sampling_settings = {"shift": 5.0}  # noqa: RUF012
        latent_format = comfy.latent_formats.Wan21

    return HostConfig, HostModel


def prompt_for(config: WanConfig, text: Tensor) -> Tensor:
    """The host's text embedding [B, n, text_dim] as the network takes it: [B, text_len, text_dim], zeros at the end.

    A model without a text encoder (one text position) gets its constant zeros whatever the prompt.

    Raises:
        InputError: an embedding of another text encoder, or one that is too long.
    """
    import torch.nn.functional as F

    if config.text_len == 1:
        return text.new_zeros(text.shape[0], 1, config.text_dim)
    if text.shape[-1] != config.text_dim:
        raise InputError(
            f"The prompt was encoded with {text.shape[-1]} numbers per token, the model takes {config.text_dim}; load "
            "umt5_xxl_fp8_e4m3fn_scaled.safetensors with Load CLIP, type wan."
        )
    if text.shape[1] > config.text_len:
        raise InputError(f"The prompt has {text.shape[1]} tokens, at most {config.text_len} fit; shorten it.")
    return F.pad(text, (0, 0, 0, config.text_len - text.shape[1]))


def prompt_of(conditioning: list | None, config: WanConfig) -> Tensor:
    """The prompt of a CONDITIONING, or none, as the network takes it: [1, text_len, text_dim].

    Raises:
        InputError: the model needs a prompt and there is none, or see `prompt_for`.
    """
    import torch

    if conditioning is None:
        if config.text_len > 1:
            raise InputError(
                'The model needs a prompt: encode "a person talking" with CLIP Text Encode (umt5_xxl, type wan) and '
                "connect it to positive."
            )
        return torch.zeros(1, config.text_len, config.text_dim)
    return prompt_for(config, conditioning[0][0])


def with_face(conditioning: list | None, channels: Tensor, audio: Tensor) -> list:
    """CONDITIONING with the teacher's face and speech added to each entry; None counts as one without a prompt."""
    entries = [[channels.new_zeros(1, 1, 1), {}]] if conditioning is None else conditioning
    return [[text, {**options, CHANNELS: channels, AUDIO: audio}] for text, options in entries]


class RunningStudent:
    """A MODEL in use as the causal student: what `pipeline.Models` asks of a transformer.

    It is loaded, with whatever else is given, when first used. Leaving the context ends its run and drops patches'
    state; the host then unloads it when it needs the memory.

    Args:
        patcher: MODEL of ours.
        beside: patchers that work in turn with it (VAEs) and should stay loaded as well.
    """

    def __init__(self, patcher: Any, beside: Iterable[Any] = ()) -> None:
        import comfy.model_patcher

        self.info = model_info(patcher, "a Lip Forcing student")
        if not self.info.causal:
            raise InputError(
                f"{self.info.name} is a teacher; the causal sampler takes a student, the teacher goes through KSampler."
            )
        self.config = self.info.config
        self.device = patcher.load_device
        self.dtype = patcher.model.get_dtype_inference()
        self._patcher = patcher
        self._beside = list(beside)
        self._options = comfy.model_patcher.create_model_options_clone(patcher.model_options)
        self._started = False

    def __enter__(self) -> RunningStudent:
        return self

    def __exit__(self, *_) -> None:
        if self._started:
            self._patcher.cleanup()

    def _start(self) -> Any:
        """The host's model, loaded."""
        import comfy.model_management
        import comfy.sampler_helpers

        model = self._patcher.model
        if not self._started:
            edge = self.info.crop_size // 8
            memory = model.memory_required([1, 16, 7, edge, edge])  # the window: sink, past chunk, current chunk
            comfy.model_management.load_models_gpu([self._patcher, *self._beside], memory_required=memory)
            comfy.sampler_helpers.prepare_model_patcher(self._patcher, {}, self._options)
            self._patcher.pre_run()
            self._started = True
        return model

    def _step(self, x: Tensor, sigma: Tensor, step: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> Tensor:
        """Run `step(network, x, sigma)` the way the host runs its models, and return its x0 in float32."""
        model = self._start()
        sigma = sigma.float().to(x.device)
        options = {**self._options["transformer_options"], "sigmas": sigma, "cond_or_uncond": [0], STEP: step}
        return model.apply_model(x, sigma, transformer_options=options)

    def embed_text(self, text: Tensor) -> TextKV:
        return self._start().diffusion_model.embed_text(text)

    def embed_audio(self, features: Tensor, first: bool = True) -> Tensor:
        return self._start().diffusion_model.embed_audio(features, first)

    def forward_chunk(self, x_t: Tensor, sigma: Tensor, conditioning: Conditioning, cache: KVCache) -> Tensor:
        from ..lipforcing.sampling.flow import x0_to_velocity

        def step(network, x, level):
            return network.forward_chunk(x, level, conditioning, cache)

        x0 = self._step(x_t, sigma, step)
        return x0_to_velocity(x_t, x0, sigma.view(-1, 1, 1, 1, 1).to(x0))

    def remember(self, x0: Tensor, conditioning: Conditioning, cache: KVCache) -> None:
        def step(network, x, _level):
            network.remember(x, conditioning, cache)
            return x

        self._step(x0, x0.new_zeros(x0.shape[0]), step)


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

    from ..lipforcing.codecs.taehv import TAEHV, taew2_1
    from ..lipforcing.codecs.tiny import TinyCodec
    from ..lipforcing.codecs.wan_vae import WanVAE, WanVAEConfig
    from ..lipforcing.pipeline import RELEASED_CROP_SIZE
    from ..lipforcing.tiny import family

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
    import comfy.ops
    from torch import nn

    if not isinstance(layer, nn.Conv3d):
        return layer

    class Unpadded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer
            self.kernel_size = layer.kernel_size

        def forward(self, x):
            return comfy.ops.disable_weight_init.Conv3d.forward(self.layer, x)

    return Unpadded()


class HostCodec:
    """A `VideoCodec` over weights that the host manages; frames and latents keep the caller's dtype.

    Attributes:
        patcher: what has to be loaded while streams run.
        crop_size: edge in pixels of the face crops that its models work on.
    """

    def __init__(self, codec: VideoCodec, vae: Any, crop_size: int) -> None:
        self.codec = codec
        self.crop_size = crop_size
        self.patcher = vae.patcher
        self.latent_channels, self.spatial_factor = codec.latent_channels, codec.spatial_factor
        self._dtype = vae.vae_dtype

    def encode_stream(self) -> StreamingEncoder:
        return self._casting(self.codec.encode_stream())

    def decode_stream(self, *, clamp: bool = True) -> StreamingDecoder:
        return self._casting(self.codec.decode_stream(clamp=clamp))

    def _casting(self, stream: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: stream(x.to(self._dtype)).to(x.dtype)


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

    from ..lipforcing.codecs import base
    from ..lipforcing.timeline import frames_for_latents, latents_for_frames

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
            self.upscale_index_formula = self.downscale_index_formula = (4, factor, factor)
            self.format = comfy.latent_formats.Wan21()
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


class HostAudioEncoder:
    """Our wav2vec2 forward over the weights of an AUDIO_ENCODER (the host's own runs at 50 Hz on other input).

    Raises:
        InputError: another encoder than wav2vec2 of the base size.
    """

    def __init__(self, encoder: Any, window_seconds: float | None = None) -> None:
        import torch

        from ..lipforcing.audio.wav2vec2 import Wav2Vec2, Wav2Vec2Config

        ours = Wav2Vec2(Wav2Vec2Config.base_960h(), window_seconds, device=torch.device("meta"))
        self._encoder = encoder
        self.network = graft(ours, encoder.model, lambda layer: layer, "wav2vec2-base-960h")
        self.feature_dim = ours.feature_dim

    def __call__(self, waveform: Tensor, frames: int) -> Tensor:
        import comfy.model_management

        comfy.model_management.load_models_gpu([self._encoder.patcher])
        return self.network(waveform.to(self._encoder.load_device), frames)


def patcher_of(network: nn.Module) -> Any:
    """A small network of ours, of plain layers, under the host's memory management."""
    import comfy.model_management as management
    import comfy.model_patcher

    return comfy.model_patcher.ModelPatcher(
        network, load_device=management.get_torch_device(), offload_device=management.unet_offload_device()
    )


def load_together(patchers: Iterable[Any]) -> None:
    """Have models on their devices, as far as memory allows."""
    import comfy.model_management

    comfy.model_management.load_models_gpu(list(patchers))


def intermediate(tensor: Tensor) -> Tensor:
    """A result where and in the type in which the host keeps them between nodes."""
    import comfy.model_management

    return tensor.to(comfy.model_management.intermediate_device()).float()


def latent_to_host(latents: Tensor) -> dict[str, Tensor]:
    """Normalised latents [1, 16, f, h, w] as the host's LATENT, which is not normalised."""
    import comfy.latent_formats

    return {"samples": intermediate(comfy.latent_formats.Wan21().process_out(latents.float().cpu()))}
