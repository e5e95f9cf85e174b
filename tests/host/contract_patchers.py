"""Checks of `nodes/host/patchers.py` and `nodes/host/codecs.py` inside a real host; collected and run by `contract.py`.

The yardstick is always the engine on its own: the host's way of running the same weights has to give its numbers.
"""

from __future__ import annotations

import sys
from pathlib import Path

TOLERANCE = 2e-5


def engine(name: str):
    """A module of the pack's engine as the host loaded it, such as "lipforcing.pipeline"."""
    import importlib

    package = next(key for key in sys.modules if key.endswith(".nodes.host")).removesuffix(".nodes.host")
    return importlib.import_module(f"{package}.{name}")


def close(a, b, tolerance: float = TOLERANCE) -> None:
    worst = float((a.float() - b.float()).abs().max())
    assert a.shape == b.shape and worst <= tolerance, (tuple(a.shape), tuple(b.shape), worst)


def tiny_model(part: str = "student", file: str | None = None, dtype: str = "fp32"):
    """The tiny student or teacher as MODEL."""
    path = file or engine("lipforcing.tiny.family").weights_path(part)
    return engine("nodes.loaders").load_transformer(path, dtype, causal=part == "student")


def driving(frames: int = 33, seed: int = 0):
    """Random crops [T, 3, S, S] and a noise that sounds [samples]."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 8, 8, generator=generator) * 2 - 1  # nothing that looks like a cut
    still = torch.nn.functional.interpolate(coarse, (128, 128), mode="bilinear").expand(frames, -1, -1, -1)
    crops = (still + 0.1 * torch.randn(frames, 3, 128, 128, generator=generator)).clamp(-1, 1)
    return crops, 0.1 * torch.randn(640 * frames, generator=generator)


def faces_by(models) -> object:
    """Frames that the engine's loop makes with `models`."""
    from dataclasses import replace

    crops, waveform = driving()
    if models.audio is None:
        models = replace(models, audio=engine("lipforcing.audio.logmel").LogMelEncoder())
    faces, _ = engine("lipforcing.pipeline").sync_crops(models, crops, waveform, 3)
    return faces


def models_with(model):
    return engine("nodes.engine").running_family(engine("nodes.family").Parts(model))


def check_student_gives_the_engines_frames(folder: Path) -> None:
    expected = faces_by(engine("lipforcing.tiny.family").tiny_family())
    with models_with(tiny_model()) as models:
        close(faces_by(models), expected)


def check_student_is_a_model_of_the_host(folder: Path) -> None:
    import comfy.model_base
    import comfy.model_patcher

    patcher = tiny_model()
    assert isinstance(patcher, comfy.model_patcher.ModelPatcher)
    assert isinstance(patcher.model, comfy.model_base.BaseModel)
    assert patcher.model_size() > 1e6 and patcher.clone().model is patcher.model
    assert engine("nodes.host.patchers").model_info(patcher).crop_size == 128


def check_memory_of_a_run_counts_its_caches(folder: Path) -> None:
    """Of the released student at 512 pixels in 16 bits: 3.4 GB of window and 0.4 GB of prompt, beside the rest."""
    import types

    import torch

    running = engine("nodes.host.patchers").RunningStudent(tiny_model())
    rest = running._memory() - 2 * 6 * (4 * 64 + 1) * 128 * 4
    assert abs(rest - running._patcher.model.memory_required([1, 16, 7, 16, 16])) < 1, rest
    running.config, running.dtype = engine("lipforcing.models.config").wan_14b(), torch.bfloat16
    running.info = types.SimpleNamespace(crop_size=512)
    caches = running._memory() - running._patcher.model.memory_required([1, 16, 7, 64, 64])
    assert 3.7e9 < caches < 3.9e9, caches


def check_cancelling_ends_a_step_half_way_and_other_threads_hear_of_it(folder: Path) -> None:
    """The host's own layers ask, and withdraw the request; a step of the released student takes up to a second."""
    import comfy.model_management as management
    import torch

    patchers = engine("nodes.host.patchers")
    family, model = engine("lipforcing.tiny.family").tiny_family(), tiny_model()
    network = model.model.diffusion_model
    run = []

    def cancel_at_the_second(*_) -> None:
        run.append(1)
        management.interrupt_current_processing(len(run) == 2)

    for block in network.blocks:
        block.register_forward_hook(cancel_at_the_second)
    conditioning = engine("lipforcing.models").Conditioning
    with torch.inference_mode(), patchers.RunningStudent(model) as student:
        latent = torch.zeros(1, 16, 3, 16, 16)
        text, audio = student.embed_text(family.text), student.embed_audio(torch.zeros(1, 9, student.config.audio_dim))
        seen = conditioning(torch.zeros(1, 49, 3, 16, 16), audio, text)
        window = engine("lipforcing.models").Rolling(student.geometry(latent), engine("lipforcing.models").Past())
        times = student.embed_times((0.5,), latent)
        try:
            student.x0(latent, 0.5, times[0.5], seen, window)
        except management.InterruptProcessingException:
            assert len(run) == 2 and management.processing_interrupted(), run
            return
        finally:
            management.interrupt_current_processing(False)
    raise AssertionError("went on after the user cancelled")


def check_lora_changes_the_student_and_leaves_the_original(folder: Path) -> None:
    import comfy.sd
    import torch

    patcher = tiny_model()
    layer = "diffusion_model.blocks.3.ffn.2"
    generator = torch.Generator().manual_seed(0)
    lora = {
        f"{layer}.lora_down.weight": torch.randn(2, 384, generator=generator),
        f"{layer}.lora_up.weight": torch.randn(128, 2, generator=generator),
    }
    patched, _ = comfy.sd.load_lora_for_models(patcher, None, lora, 0.5, 0.0)
    assert len(patched.patches) == 1, list(patched.patches)

    network = engine("lipforcing.tiny.family").tiny_family()
    down, up = (lora[f"{layer}.lora_{half}.weight"] for half in ("down", "up"))
    network.student.network.blocks[3].ffn[2].weight += 0.5 * up @ down
    with models_with(patched) as models:
        changed = faces_by(models)
        close(changed, faces_by(network))
    with models_with(patcher) as models:
        original = faces_by(models)
    assert (original - changed).abs().max() > 0.01
    close(original, faces_by(engine("lipforcing.tiny.family").tiny_family()))


def check_fp8_file_runs_in_the_hosts_quantised_layers(folder: Path) -> None:
    checkpoints = engine("lipforcing.checkpoints")
    family = engine("lipforcing.tiny.family")
    path = checkpoints.convert(family.weights_path("student"), folder / "fp8.safetensors", "fp8_e4m3fn")
    patcher = tiny_model(file=path, dtype="default")
    layer = patcher.model.diffusion_model.blocks[0].ffn[0]
    assert type(layer).__qualname__.startswith("mixed_precision_ops"), type(layer).__qualname__
    with models_with(patcher) as models:
        close(faces_by(models), faces_by(family.tiny_family(student=path)), 0.02)  # the engine multiplies out in bf16


def check_int8_file_runs_in_the_hosts_quantised_layers(folder: Path) -> None:
    """A file as the host's own nodes save it: int8 with a scale per row."""
    import comfy.quant_ops
    import torch
    from safetensors.torch import load_file, save_file

    quantisable = engine("lipforcing.checkpoints.quantization").is_quantisable
    family = engine("lipforcing.tiny.family")
    original = family.weights_path("student")
    state = {}
    for name, tensor in load_file(original).items():
        if not quantisable(name):
            state[name] = tensor
            continue
        scale = tensor.float().abs().amax(1, keepdim=True) / 127
        layer = name.removesuffix(".weight")
        state |= {name: (tensor / scale).round().to(torch.int8), f"{layer}.weight_scale": scale.float()}
        state[f"{layer}.comfy_quant"] = torch.tensor([*b'{"format": "int8_tensorwise"}'], dtype=torch.uint8)
    metadata = engine("lipforcing.checkpoints").open_checkpoint(original).file.metadata
    save_file(state, folder / "int8.safetensors", metadata=dict(metadata))
    patcher = tiny_model(file=folder / "int8.safetensors", dtype="default")
    layer = patcher.model.diffusion_model.blocks[0].ffn[0]
    known = "int8_tensorwise" in comfy.quant_ops.QUANT_ALGOS
    assert type(layer).__qualname__.startswith("mixed_precision_ops") == known, type(layer).__qualname__
    with models_with(patcher) as models:
        made = faces_by(models)
    close(made, faces_by(family.tiny_family(student=folder / "int8.safetensors")), 0.05)
    close(made, faces_by(family.tiny_family()), 0.1)


def check_every_weight_type_runs(folder: Path) -> None:
    expected = faces_by(engine("lipforcing.tiny.family").tiny_family())
    for dtype, error in (("bf16", 0.02), ("fp16", 2e-5), ("fp8_e4m3fn", 0.2)):
        patcher = tiny_model(dtype=dtype)
        with models_with(patcher) as models:
            close(faces_by(models), expected, error)


def check_patches_of_the_attention_are_respected(folder: Path) -> None:
    calls = []

    def override(function, *args, **kwargs):
        calls.append(args[0].shape)
        return function(*args, **kwargs)

    patcher = tiny_model().clone()
    patcher.model_options["transformer_options"]["optimized_attention_override"] = override
    with models_with(patcher) as models:
        faces_by(models)
    assert len(calls) > 50


def check_wrappers_see_every_step(folder: Path) -> None:
    """How torch.compile, caching and profiling nodes hook in."""
    from comfy.patcher_extension import WrappersMP

    seen = []

    def wrapper(executor, x, t, *args, **kwargs):
        seen.append(round(float(t.flatten()[0]), 3))
        return executor(x, t, *args, **kwargs)

    patcher = tiny_model().clone()
    patcher.add_wrapper_with_key(WrappersMP.APPLY_MODEL, "test", wrapper)
    with models_with(patcher) as models:
        faces_by(models)
    assert seen == [0.999, 0.769, 0.0, 0.999, 0.769, 0.0, 0.999, 0.769], seen


def check_torch_compile_wrapper_runs(folder: Path) -> None:
    """What the host's TorchCompileModel node does; the tracing back-end, since not every machine has a compiler."""
    from comfy_api.torch_helpers import set_torch_compile_wrapper

    patcher = tiny_model().clone()
    set_torch_compile_wrapper(patcher, backend="eager")
    with models_with(patcher) as models:
        compiled = faces_by(models)
    close(compiled, faces_by(engine("lipforcing.tiny.family").tiny_family()))


def teacher_setting():
    """Conditioning and noise of a clip."""
    import torch

    models_room = engine("lipforcing.models")
    generator = torch.Generator().manual_seed(1)
    channels = torch.randn(1, 49, 3, 16, 16, generator=generator)
    channels[:, 16] = (channels[0, 16, 0] > 0).float()
    channels[:, :16] = channels[:, :16, :1]
    features = torch.rand(1, 9, 384, generator=generator)
    noise = torch.randn(1, 16, 3, 16, 16, generator=generator)
    return models_room, channels, features, noise


def teacher_samples(scale: float):
    """The guided teacher on the engine's grid: by the host's SamplerCustom, and by the engine."""
    import comfy.latent_formats
    import comfy.sample
    import comfy.samplers
    import torch

    models_room, channels, features, noise = teacher_setting()
    sigmas = engine("nodes.sampling").LipForcingSchedule.execute("teacher_grid").args[0]
    positive = engine("nodes.conditioning").with_face(None, channels, features)
    negative = engine("nodes.conditioning").with_face(None, channels, torch.zeros_like(features))
    sampler, empty = comfy.samplers.sampler_object("euler"), torch.zeros_like(noise)
    model = tiny_model("teacher")
    hosts = comfy.sample.sample_custom(model, noise, scale, sampler, sigmas, positive, negative, empty)
    given = models_room.Inputs.from_channels(channels, features, torch.zeros(1, 1, 8))
    guidance, schedules = engine("lipforcing.sampling.guidance"), engine("lipforcing.sampling.schedules")
    teacher = guidance.Teacher(engine("lipforcing.tiny.family").load("teacher"), given)
    grid = schedules.teacher_grid().tolist()
    ours = guidance.sample_euler(teacher.guided(scale), 0.999 * noise, grid)
    return hosts, comfy.latent_formats.Wan21().process_out(ours)


def check_teacher_runs_through_the_hosts_sampler(folder: Path) -> None:
    """SamplerCustom with euler and the engine's grid is the engine's sampler, over all 50 guided steps."""
    close(*teacher_samples(4.5), 1e-4)


def sampled_by_the_host(part: str) -> str:
    """What the host's sampler says of the tiny model under a conditioning of its own."""
    import comfy.sample
    import comfy.samplers
    import torch

    latent, plain = torch.zeros(1, 16, 3, 16, 16), [[torch.zeros(1, 1, 8), {}]]
    euler, sigmas = comfy.samplers.sampler_object("euler"), torch.tensor([0.9, 0.0])
    try:
        comfy.sample.sample_custom(tiny_model(part), latent, 1.0, euler, sigmas, plain, plain, latent)
    except engine("lipforcing.errors").InputError as error:
        return str(error)
    raise AssertionError("sampled without a face")


def check_the_tiny_teacher_leaves_the_host_as_the_engine_has_it(folder: Path) -> None:
    import torch

    patchers, family = engine("nodes.host.patchers"), engine("lipforcing.tiny.family")
    teacher = engine("nodes.loaders").load_transformer(family.weights_path("teacher"), "fp32", causal=False)
    found, expected = patchers.tiny_teacher(teacher).state_dict(), family.load("teacher").state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    try:
        patchers.tiny_teacher(tiny_model())
    except Exception as error:
        assert "no teacher of the tiny family" in str(error), error
    else:
        raise AssertionError("a student was taken for a teacher")


def check_teacher_without_our_conditioning_says_so(folder: Path) -> None:
    assert "Lip Forcing Conditioning" in sampled_by_the_host("teacher")


def check_a_student_in_the_hosts_sampler_says_where_it_belongs(folder: Path) -> None:
    said = sampled_by_the_host("student")
    assert "causal student" in said and "Lip Forcing Causal Sampler" in said


def host_vae(state: dict):
    import comfy.sd

    return comfy.sd.VAE(sd=state)


def check_wan_vae_is_shared_and_streams(folder: Path) -> None:
    import torch

    wan_vae = engine("lipforcing.codecs.wan_vae")
    torch.manual_seed(0)
    ours = wan_vae.WanVAE(wan_vae.WanVAEConfig(dim=16)).eval().requires_grad_(False)
    for name, value in ours.state_dict().items():
        value.normal_(0, 0.05) if "gamma" not in name else value.uniform_(0.8, 1.2)
    vae = host_vae({name: value.clone() for name, value in ours.state_dict().items()})
    codec = engine("nodes.host.codecs").codec_of(vae)
    engine("nodes.host.patchers").load_together([codec.patcher])

    video = torch.rand(2, 3, 9, 32, 32) * 2 - 1
    with torch.inference_mode():
        encode, expected = codec.encode_stream(), ours.encode_stream()
        for piece in (video[:, :, :5], video[:, :, 5:]):
            close(encode(piece), expected(piece))
        latents = torch.randn(1, 16, 3, 4, 4)
        decode, expected = codec.decode_stream(), ours.decode_stream()
        for piece in (latents[:, :, :1], latents[:, :, 1:]):
            close(decode(piece), expected(piece))
    own = {parameter.data_ptr() for parameter in vae.first_stage_model.parameters()}
    assert {parameter.data_ptr() for parameter in codec.codec.parameters()} <= own, "weights were copied"


def check_taehv_is_shared_and_streams(folder: Path) -> None:
    import torch

    taehv = engine("lipforcing.codecs.taehv")
    torch.manual_seed(0)
    ours = taehv.TAEHV(taehv.taew2_1()).eval().requires_grad_(False)
    vae = host_vae({name: value.clone() for name, value in ours.state_dict().items()})
    codec = engine("nodes.host.codecs").codec_of(vae)
    engine("nodes.host.patchers").load_together([codec.patcher])
    latents = torch.randn(1, 16, 3, 4, 4)
    with torch.inference_mode():
        decode, expected = codec.decode_stream(), ours.decode_stream()
        for piece in (latents[:, :, :1], latents[:, :, 1:]):
            close(decode(piece), expected(piece), 5e-3)  # the host keeps it in half precision
    own = {parameter.data_ptr() for parameter in vae.first_stage_model.parameters()}
    assert {parameter.data_ptr() for parameter in codec.codec.parameters()} <= own, "weights were copied"


def check_other_vaes_are_refused(folder: Path) -> None:
    import types

    import torch

    error = engine("lipforcing.errors").InputError
    for network in (torch.nn.Linear(2, 2), type("TAEHV", (torch.nn.Module,), {})()):
        try:
            engine("nodes.host.codecs").codec_of(types.SimpleNamespace(first_stage_model=network))
        except error as refused:
            assert "taew2_1" in str(refused)
            continue
        raise AssertionError("taken for a codec")


def found_encoder(folder: Path, state: dict):
    """The AUDIO_ENCODER of weights that lie in the host's model folder under the name they are published with."""
    import types

    from safetensors.torch import save_file

    host, speech = engine("nodes.host"), engine("nodes.speech")
    place = Path(host.model_folder("audio_encoders"))
    place.mkdir(parents=True, exist_ok=True)
    save_file({"x": state["wav2vec2.feature_projection.projection.bias"].clone()}, place / "another.safetensors")
    save_file({name: value.contiguous() for name, value in state.items()}, place / "model.safetensors")
    try:
        released = types.SimpleNamespace(config=types.SimpleNamespace(audio_dim=10752), name="lipforcing_14b.pth")
        return speech.find_encoder(None, released)
    finally:
        (place / "another.safetensors").unlink()
        (place / "model.safetensors").unlink()


def check_audio_encoder_is_shared(folder: Path) -> None:
    import comfy.audio_encoders.audio_encoders as encoders
    import comfy.model_management as management
    import torch

    wav2vec2 = engine("lipforcing.audio.wav2vec2")
    torch.manual_seed(0)
    config = wav2vec2.Wav2Vec2Config.base_960h()
    ours = wav2vec2.Wav2Vec2(config).eval().requires_grad_(False).half().float()  # the host keeps it in half precision
    state = {f"wav2vec2.{name}": value for name, value in ours.state_dict().items()}
    plain = state.pop("wav2vec2.encoder.pos_conv_embed.conv.weight")
    half = "wav2vec2.encoder.pos_conv_embed.conv.parametrizations.weight.original"
    state[half + "0"] = plain.norm(dim=(0, 1), keepdim=True)
    state[half + "1"] = plain
    encoder = found_encoder(folder, state)
    assert type(encoder) is type(encoders.load_audio_encoder_from_sd(dict(state)))
    base = engine("lipforcing.audio.base")
    waveform = 0.1 * torch.randn(16_000)
    with torch.inference_mode():
        for window in (None, base.Window(10, 5, 5)):
            alone = engine("lipforcing.audio.wav2vec2_encoder").Wav2Vec2Encoder(ours, window)
            listener = engine("nodes.host.codecs").audio_encoder_of(encoder, window)
            close(base.encode_audio(listener, waveform), base.encode_audio(alone, waveform), 5e-4)
            management.interrupt_current_processing()
            try:
                base.encode_audio(listener, waveform)
            except management.InterruptProcessingException:
                management.interrupt_current_processing(False)
                continue
            raise AssertionError("went on after the user cancelled")
    own = {parameter.data_ptr() for parameter in encoder.model.parameters()}
    shared = {parameter.data_ptr() for parameter in listener.network.parameters()}
    assert shared <= own, "weights were copied"


def check_large_audio_encoder_is_refused(folder: Path) -> None:
    import types

    import torch

    other = types.SimpleNamespace(model=torch.nn.Sequential(torch.nn.Linear(2, 2)))
    try:
        engine("nodes.host.codecs").audio_encoder_of(other)
    except engine("lipforcing.errors").InputError as error:
        assert "wav2vec2-base-960h" in str(error)
        return
    raise AssertionError("taken for wav2vec2-base")


def check_prompt_is_padded_with_zeros(folder: Path) -> None:
    import torch

    config = engine("lipforcing.models.config").wan_14b()
    prompt = engine("nodes.conditioning").prompt_of([[torch.ones(1, 7, 4096), {}]], config)
    assert prompt.shape == (1, 512, 4096) and prompt[:, :7].all() and not prompt[:, 7:].any()
    error = engine("lipforcing.errors").InputError
    for bad in (None, [[torch.ones(1, 7, 768), {}]], [[torch.ones(1, 513, 4096), {}]]):
        try:
            engine("nodes.conditioning").prompt_of(bad, config)
        except error:
            continue
        raise AssertionError(f"accepted {bad and bad[0][0].shape}")


def check_hosts_wan_text_encoder_zeroes_its_padding(folder: Path) -> None:
    """What the reference has, and what `prompt_for` relies on."""
    import inspect

    from comfy.text_encoders import wan

    source = inspect.getsource(wan.UMT5XXlModel)
    assert "zero_out_masked=True" in source and "enable_attention_masks=True" in source


def check_tiny_vae_serves_the_hosts_nodes(folder: Path) -> None:
    import torch

    nodes = sys.modules["nodes"]
    family = engine("lipforcing.tiny.family")
    vae = engine("nodes.host.codecs").vae_of(family.load("codec"))
    images = torch.rand(9, 128, 128, 3)
    latent = nodes.VAEEncode().encode(vae, images)[0]
    assert latent["samples"].shape == (1, 16, 3, 16, 16)
    decoded = nodes.VAEDecode().decode(vae, latent)[0]
    base = engine("lipforcing.codecs.base")
    with torch.inference_mode():
        codec = family.load("codec")
        video = images.permute(3, 0, 1, 2)[None] * 2 - 1
        expected = base.decode(codec, base.encode(codec, video))[0].permute(1, 2, 3, 0).add(1).div(2)
    close(decoded, expected, 1e-4)


def check_face_detection_model_has_the_interface_we_use(folder: Path) -> None:
    import inspect

    from comfy_extras import nodes_mediapipe

    parameters = inspect.signature(nodes_mediapipe.FaceLandmarkerModel.detect_batch).parameters
    assert list(parameters) == ["self", "images", "num_faces", "score_thresh", "variant"], list(parameters)
    assert nodes_mediapipe.FaceDetectionType.io_type == "FACE_DETECTION_MODEL"
    assert nodes_mediapipe.FaceLandmarksType.io_type == "FACE_LANDMARKS"


CHECKS = {name: value for name, value in globals().items() if name.startswith("check_")}
