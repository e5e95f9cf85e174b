"""The host's MODEL: our transformers in its patcher, built with its layers, run the way it runs its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...lipforcing.errors import InputError
from ..conditioning import AUDIO, CHANNELS, prompt_for
from . import still_cancelled

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ...lipforcing.checkpoints import Checkpoint
    from ...lipforcing.models import (
        Conditioning,
        Geometry,
        Past,
        Rolling,
        Text,
        TimeEmbedding,
        TimeTable,
        WanConfig,
        WanTransformer,
    )
    from .codecs import HostCodec

STEP = "lipforcing_step"  # key of `transformer_options` for a step of the causal student


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

    @property
    def tiny(self) -> bool:
        """Whether it belongs to the family that comes with the pack."""
        return self.config.text_len == 1


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
    """Tensors under official names as the host's layers load them, and whether some are of 8 bits with a scale.

    Such a layer is announced by a `comfy_quant` tensor next to its weight, which names the format. Where this host does
    not know one, weights are multiplied out.
    """
    import comfy.quant_ops
    import torch

    from ...lipforcing.checkpoints.quantization import FORMATS, OLD_SCALE, SCALE

    scales = [name for name in checkpoint.stored if name.endswith((SCALE, OLD_SCALE))]
    layers = {name: name.removesuffix(SCALE).removesuffix(OLD_SCALE) for name in scales}
    names = {dtype: name for name, dtype in FORMATS.items()}
    formats = {name: names[checkpoint.stored.spec(f"{layer}.weight").dtype] for name, layer in layers.items()}
    if not scales or not comfy.quant_ops.QUANT_ALGOS.keys() >= {*formats.values()}:
        return dict(checkpoint.weights), False
    state = {name: checkpoint.stored[name] for name in checkpoint.weights}
    for name, layer in layers.items():
        state[layer + SCALE] = checkpoint.stored[name].float()
        state[f"{layer}.comfy_quant"] = torch.tensor([*f'{{"format": "{formats[name]}"}}'.encode()], dtype=torch.uint8)
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

    from ...lipforcing.models import Inputs, WanTransformer
    from ...lipforcing.models.attention import sdpa_attention

    class HostAttention:
        """The host's attention back-end, chosen by its flags and by what patches say, as ours."""

        def __init__(self) -> None:
            self.transformer_options: dict = {}

        def __call__(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None = None) -> Tensor:
            if bias is not None:  # some of the host's back-ends drop it without a word
                return sdpa_attention(q, k, v, bias)
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
            self._geometry: tuple | None = None

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
            inputs = Inputs.from_channels(x[:, 16:], audio, prompt_for(self.config, context))
            return super().forward(x[:, :16], sigma, self.prepare(inputs), self._geometry_of(x))

        # Tables in float64 on the CPU, the same in every step: not worth compiling.
        @torch.compiler.disable
        def _geometry_of(self, x: Tensor) -> Geometry:
            key = (x.shape[2:], x.device)
            if self._geometry is None or self._geometry[0] != key:
                self._geometry = key, self.geometry(x, x.shape[2])
            return self._geometry[1]

    class HostModel(comfy.model_base.BaseModel):
        """A Lip Forcing transformer among the host's models: samplers, LoRA loaders and patches know it as Wan."""

        def __init__(self, model_config, info: ModelInfo) -> None:
            super().__init__(model_config, comfy.model_base.ModelType.FLOW, unet_model=HostTransformer)
            self.lipforcing = info

        def extra_conds(self, **kwargs):
            out = super().extra_conds(**kwargs)
            if self.lipforcing.causal:
                raise InputError(
                    f"{self.lipforcing.name} is a causal student, which the host's samplers cannot drive; sample it "
                    "with Lip Forcing Causal Sampler or Lip Forcing Video to Video."
                )
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


class RunningStudent:
    """A MODEL in use as the causal student (`sampling.causal.Student`).

    It is loaded, with whatever else is given, when first used. Leaving the context ends its run and drops patches'
    state; the host then unloads it when it needs the memory.

    Args:
        patcher: MODEL of ours.
        codecs: what works in turn with it and should stay loaded as well.
    """

    def __init__(self, patcher: Any, codecs: Iterable[HostCodec] = ()) -> None:
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
        self._codecs = list(codecs)
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
            beside = {codec.patcher for codec in self._codecs}
            comfy.model_management.load_models_gpu([self._patcher, *beside], memory_required=self._memory())
            comfy.sampler_helpers.prepare_model_patcher(self._patcher, {}, self._options)
            self._patcher.pre_run()
            self._started = True
        return model

    def _memory(self) -> float:
        """Bytes that a run needs beside the weights: caches, and the largest of what student and codecs work in."""
        from ...lipforcing.codecs.base import SPATIAL_FACTOR
        from ...lipforcing.models.config import PATCH
        from ...lipforcing.models.window import SLOTS, WINDOW_FRAMES

        config, edge = self.config, self.info.crop_size // SPATIAL_FACTOR
        tokens = SLOTS * (edge // PATCH) ** 2 + config.text_len
        caches = 2 * config.num_layers * tokens * config.dim * self.dtype.itemsize
        student = self._patcher.model.memory_required([1, config.out_dim, WINDOW_FRAMES, edge, edge])
        return caches + max([student, *(codec.memory for codec in self._codecs)])

    def _step(self, x: Tensor, level: float, step: Callable[[nn.Module, Tensor, Tensor], Tensor]) -> Tensor:
        """Run `step(network, x, sigma)`, which gives a velocity, as the host runs its models: x0 in float32.

        Every layer of it is a cancel point of the host's.
        """
        import torch

        model = self._start()
        sigma = x.new_full((x.shape[0],), level, dtype=torch.float32)
        options = {**self._options["transformer_options"], "sigmas": sigma, "cond_or_uncond": [0], STEP: step}
        with still_cancelled():
            return model.apply_model(x, sigma, transformer_options=options)

    @property
    def sizes(self) -> tuple[int, int]:
        """Bytes of the weights that are on the device, and of all."""
        return self._patcher.loaded_size(), self._patcher.model_size()

    def geometry(self, latent: Tensor) -> Geometry:
        return self._patcher.model.diffusion_model.geometry(latent)

    def embed_text(self, text: Tensor) -> Text:
        return self._start().diffusion_model.embed_text(text)

    def embed_audio(self, features: Tensor) -> Tensor:
        return self._start().diffusion_model.embed_audio(features)

    def embed_times(self, sigmas: Sequence[float], like: Tensor) -> TimeTable:
        return self._start().diffusion_model.embed_times(sigmas, like)

    def x0(self, x_t: Tensor, sigma: float, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Tensor:
        def step(network, x, _sigma):
            return network.forward_chunk(x, time, conditioning, window)

        return self._step(x_t, sigma, step).to(x_t.dtype)

    def cache_write(self, x0: Tensor, time: TimeEmbedding, conditioning: Conditioning, window: Rolling) -> Past:
        pasts = []

        def step(network, x, _sigma):
            pasts.append(network.cache_write(x, time, conditioning, window))
            return x  # the host wants a picture from every step

        self._step(x0, 0.0, step)
        return pasts[0]


def tiny_teacher(patcher: Any) -> WanTransformer:
    """The engine's network, in float32 on the CPU, with a MODEL's weights and the patches (LoRA) on them.

    Raises:
        InputError: it is no teacher of the tiny family's sizes.
    """
    import comfy.model_management

    from ...lipforcing.models import WanTransformer
    from ...lipforcing.models.config import tiny

    info = model_info(patcher, "a Lip Forcing teacher")
    if info.causal or info.config != tiny():
        raise InputError(
            f"{info.name} is no teacher of the tiny family's sizes; connect one, such as the tiny teacher."
        )
    comfy.model_management.load_models_gpu([patcher], force_full_load=True)
    weights = patcher.model.diffusion_model.state_dict()
    network = WanTransformer(info.config)
    network.load_state_dict({name: weight.detach().float().cpu() for name, weight in weights.items()})
    return network.eval().requires_grad_(False)


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
