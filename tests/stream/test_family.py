"""`lipforcing sync` over a whole set of files in the released layouts, small and with random weights.

All sizes but one are in the files; the edge of the face crop (512 pixels) is the released models' own and is made
smaller here, because the Wan VAE takes a minute per second of video at that size. The slow test leaves it as it is.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lipforcing.audio.wav2vec2 import Wav2Vec2Config
from lipforcing.checkpoints import Kind
from lipforcing.checkpoints.catalog import expected_shapes
from lipforcing.cli import main
from lipforcing.codecs.taehv import tiny as taehv_tiny
from lipforcing.codecs.wan_vae import WanVAEConfig
from lipforcing.errors import InputError
from lipforcing.faces.follow import FixedFollower
from lipforcing.media import AudioSource, VideoReader, VideoWriter, probe
from lipforcing.pipeline import SyncOptions, sync_file
from lipforcing.stream import family
from lipforcing.stream.family import Family, taehv_dtype

from ..checkpoints.samples import WAN
from ..test_pipeline import speech

CROP = 64  # pixels
AUDIO = Wav2Vec2Config(width=64, layers=2, heads=1, feed_forward=32, conv_channels=(8,) * 7, position_kernel=8)
STUDENT = replace(WAN, audio_dim=AUDIO.width * (AUDIO.layers + 2))
PARTS = {"student": "--model", "codec": "--codec", "audio_encoder": "--audio-encoder", "text": "--text-embeds"}


def random_weights(kind: Kind, config, seed: int) -> dict[str, torch.Tensor]:
    """Weights under which signals keep their size, so that every part has a say in the picture."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in expected_shapes(kind, config).items():
        scale = 1 / max(1, torch.Size(shape[1:]).numel()) ** 0.5 if len(shape) > 1 else 0.1
        weights[name] = torch.randn(shape, generator=generator) * scale
        if len(shape) == 1 and "norm" in name and name.endswith("weight"):
            weights[name] += 1
        if name.endswith("gamma"):
            weights[name] = torch.ones(shape)
    return weights


def write_student(path: Path, seed: int = 0, prefix: str = "", wrap=lambda tensors: tensors) -> Path:
    """As released, a pickle in bfloat16: flat, or as training writes it."""
    tensors = random_weights(Kind.STUDENT, STUDENT, seed)
    torch.save(wrap({prefix + name: tensor.bfloat16() for name, tensor in tensors.items()}), path)
    return path


def write_audio_encoder(path: Path, seed: int = 0, config: Wav2Vec2Config = AUDIO) -> Path:
    """Hugging Face's names: a prefix, the positional convolution in two halves, a head for letters."""
    tensors = random_weights(Kind.WAV2VEC2, config, seed)
    position = tensors.pop("encoder.pos_conv_embed.conv.weight")
    tensors["encoder.pos_conv_embed.conv.weight_v"] = position
    tensors["encoder.pos_conv_embed.conv.weight_g"] = position.norm(dim=(0, 1), keepdim=True)
    published = {f"wav2vec2.{name}": tensor for name, tensor in tensors.items()}
    save_file(published | {"lm_head.weight": torch.zeros(32, config.width)}, path)
    return path


def write_codec(path: Path, seed: int = 0) -> Path:
    torch.save(random_weights(Kind.WAN_VAE, WanVAEConfig(dim=4), seed), path)
    return path


def write_decoder(path: Path, seed: int = 0) -> Path:
    torch.save(random_weights(Kind.TAEHV, taehv_tiny(), seed), path)
    return path


def write_text(path: Path, seed: int = 0) -> Path:
    text = torch.zeros(1, 512, STUDENT.text_dim)
    text[:, :5] = 5 * torch.randn(5, STUDENT.text_dim, generator=torch.Generator().manual_seed(seed))
    save_file({"context": text.bfloat16()}, path)
    return path


WRITERS = {
    "student": write_student,
    "codec": write_codec,
    "audio_encoder": write_audio_encoder,
    "text": write_text,
    "decoder": write_decoder,
}
NAMES = {
    "student": "lipforcing_14b.pth",
    "codec": "Wan2.1_VAE.pth",
    "audio_encoder": "model.safetensors",
    "text": "prompt.safetensors",
    "decoder": "taew2_1.pth",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("released")
    return {part: write(folder / NAMES[part]) for part, write in WRITERS.items()}


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """One second of moving colours, 64 x 48."""
    path = tmp_path_factory.mktemp("clip") / "in.mkv"
    ramp = torch.linspace(0, 255, 64)[:, None, None] * torch.tensor([0.2, 0.6, 1.0])
    with VideoWriter(path, 48, 64, Fraction(25), lossless=True) as writer:
        for n in range(25):
            writer.write(ramp.roll(n, 0).expand(64, 48, 3).round().to(torch.uint8).contiguous(), n / 25)
    return path


@pytest.fixture(scope="module")
def speech_file(tmp_path_factory) -> Path:
    """One second of sound."""
    path = tmp_path_factory.mktemp("speech") / "in.mkv"
    with VideoWriter(path, 16, 16, Fraction(25), audio=speech(1.0), lossless=True) as writer:
        for n in range(25):
            writer.write(torch.zeros(16, 16, 3, dtype=torch.uint8), n / 25)
    return path


@pytest.fixture
def small_crops(monkeypatch):
    monkeypatch.setattr(family, "RELEASED_CROP_SIZE", CROP)


def read(path: Path) -> torch.Tensor:
    with VideoReader(path) as reader:
        return torch.stack([frame.image for frame in reader.frames()])


def run(files: dict[str, Path], clip: Path, out: Path) -> torch.Tensor:
    """Frames that the engine makes of the clip."""
    released = Family.from_files(**files, dtype=torch.float32)
    with VideoReader(clip) as video:
        sync_file(released, video, speech(1.0), out, FixedFollower(), SyncOptions(lossless=True))
    return read(out)


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Mean of the differences in levels of 255."""
    return (a.float() - b.float()).abs().mean().item()


@pytest.fixture(scope="module")
def result(files, clip, tmp_path_factory) -> torch.Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(family, "RELEASED_CROP_SIZE", CROP)
        return run(files, clip, tmp_path_factory.mktemp("engine") / "out.mkv")


def test_command_line_and_engine_agree(files, clip, speech_file, tmp_path, small_crops, result, capsys):
    out = tmp_path / "out.mkv"
    options = [word for part, option in PARTS.items() for word in (option, str(files[part]))]
    options += ["--decoder", str(files["decoder"]), "--dtype", "fp32", "--face", "full", "--lossless"]
    assert main(["sync", str(clip), str(speech_file), "-o", str(out), *options]) == 0
    info, frames = probe(out), read(out)
    assert frames.shape == (25, 64, 48, 3) and info.frame_rate == 25
    sound, wanted = AudioSource(out).mono16k(), speech(1.0).waveform[0]
    assert abs(len(sound) - len(wanted)) <= 1024
    assert (sound[2000:14000] - wanted[2000:14000]).abs().mean() < 0.02
    # Other places in memory: some kernels round differently in the last bit.
    assert (frames.int() - result.int()).abs().max() <= 2
    assert difference(result, read(clip)) > 5


@pytest.mark.parametrize(
    ("prefix", "wrap"),
    [
        ("_core.", lambda tensors: tensors),
        ("", lambda tensors: {"net": tensors}),
        ("_core.", lambda tensors: {"model": {"net": tensors}, "iteration": 9}),
    ],
)
def test_every_layout_of_the_student_gives_the_same_frames(files, clip, tmp_path, small_crops, result, prefix, wrap):
    student = write_student(tmp_path / "student.pth", prefix=prefix, wrap=wrap)
    assert (run(files | {"student": student}, clip, tmp_path / "out.mkv").int() - result.int()).abs().max() <= 2


@pytest.mark.parametrize("part", WRITERS)
def test_every_file_counts(files, clip, tmp_path, small_crops, result, part):
    """The frames change with each of the files, so each of them is really what is used."""
    other = WRITERS[part](tmp_path / NAMES[part], seed=1)
    assert difference(run(files | {part: other}, clip, tmp_path / "out.mkv"), result) > 0.05


def test_the_codec_decodes_where_no_decoder_is_named(files, clip, tmp_path, small_crops, result):
    both = {part: path for part, path in files.items() if part != "decoder"}
    alone = run(both, clip, tmp_path / "alone.mkv")
    assert torch.equal(alone, run(both | {"decoder": files["codec"]}, clip, tmp_path / "named.mkv"))
    assert difference(alone, result) > 1


def test_swapped_files_are_told_apart(files):
    with pytest.raises(InputError, match=r"taew2_1.pth is a TAEHV video autoencoder; expected a Wan 2.1 VAE"):
        Family.from_files(**files | {"codec": files["decoder"]})
    with pytest.raises(InputError, match=r"prompt.safetensors is a precomputed text embedding; expected a wav2vec2"):
        Family.from_files(**files | {"audio_encoder": files["text"]})


def test_an_ear_of_another_size_is_refused(files, tmp_path):
    other = write_audio_encoder(tmp_path / "large.safetensors", config=replace(AUDIO, layers=3))
    with pytest.raises(InputError, match=r"large.safetensors gives 320 numbers per frame, the student .* takes 256"):
        Family.from_files(**files | {"audio_encoder": other})


def test_sizes_and_precision_come_from_the_files(files):
    released = Family.from_files(**files)
    assert released.crop_size == 512 and released.sigmas == (0.999, 0.769, 0.0)
    assert released.dtype == torch.bfloat16 == next(released.codec.parameters()).dtype
    assert released.student.config == STUDENT and released.audio.network.config == AUDIO
    assert next(released.audio.network.parameters()).dtype == torch.float32
    assert next(released.decoder.parameters()).dtype == torch.float32


def test_a_taehv_decodes_in_a_type_of_its_own():
    """As the reference does; a student in bf16 would spoil pictures by up to 5 of 255 levels."""
    card, processor = torch.device("cuda"), torch.device("cpu")
    assert {taehv_dtype(card, dtype) for dtype in (torch.bfloat16, torch.float16)} == {torch.float16}
    assert taehv_dtype(card, torch.float32) == taehv_dtype(processor, torch.bfloat16) == torch.float32


def test_a_wan_decoder_keeps_the_students_type(files):
    released = Family.from_files(**files | {"decoder": files["codec"]})
    assert next(released.decoder.parameters()).dtype == torch.bfloat16


def test_a_prompt_is_the_same_with_its_padding_or_without(files, tmp_path):
    """Of 512 positions or fewer; more are refused."""
    text = load_file(files["text"])["context"]
    prompts = []
    for count in (5, 200, 512):
        save_file({"context": text[:, :count].contiguous()}, tmp_path / f"{count}.safetensors")
        prompts.append(Family.from_files(**files | {"text": tmp_path / f"{count}.safetensors"}).text)
    assert all(torch.equal(prompt, text[:, :5]) for prompt in prompts)
    save_file({"context": torch.ones(1, 600, STUDENT.text_dim)}, tmp_path / "long.safetensors")
    with pytest.raises(InputError, match=r"long.safetensors holds 600 tokens, 512 fit the student; shorten the prompt"):
        Family.from_files(**files | {"text": tmp_path / "long.safetensors"})


@pytest.mark.slow
def test_at_the_released_crop_size(files, clip, tmp_path):
    frames = run(files, clip, tmp_path / "out.mkv")
    assert len(frames) == 25 and difference(frames, read(clip)) > 5
