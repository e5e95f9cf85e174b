"""Training samples out of videos: cut, put on the clock, follow, align, filter, encode (docs/training.md, Data)."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import wave
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor

from ..audio.base import AudioEncoder, encode_audio
from ..audio.logmel import LogMelEncoder
from ..audio.wav2vec2_encoder import Wav2Vec2Encoder
from ..checkpoints import Kind, load_module, load_text_embedding
from ..codecs.base import VideoCodec, encode
from ..errors import InputError
from ..faces.align import BOX_CENTRE, BOX_SIZE
from ..faces.crop import crop_faces, face_region
from ..faces.mask import pixel_mask
from ..faces.mesh_detector import DRAWN_LAYOUT, LAYOUT
from ..faces.selection import FaceChoice, follower_for
from ..faces.warp import invert, transform
from ..media import Audio, AudioSource, Frame, VideoReader, VideoWriter, clock_frames
from ..models.syncnet import SyncNet
from ..syncnet import SyncReport, score
from ..syncnet.tracks import square_crop, whole_crop
from ..timeline import FPS, SAMPLE_RATE, SAMPLES_PER_FRAME
from ..tiny import family
from .cache import made

CLIP, SOUND, PROMPT = "sub_clip.mp4", "audio.wav", "prompt.txt"
LATENTS, REFERENCE = "vae_latents_mask_all.pt", "ref_latents.pt"
FEATURES, TEXT = "audio_emb_omniavatar.pt", "text_emb.pt"
SUFFIXES = {".mp4", ".mkv", ".mov", ".avi", ".webm", ".m4v"}
PUBLISHED_SYNC = 3.0  # least Sync-C of LatentSync's filter, by SyncNet v2
WORDS = "a person talking"


@dataclass(frozen=True)
class Settings:
    """What is taken, and how it is encoded. Files that are None are the tiny family's.

    Attributes:
        frames: of a sample, at 25 per second; 1 + 4 k.
        face: whom to follow, see ``FaceChoice``.
        least_size: height in source pixels of a face, as a share of the crop's.
        least_sync: Sync-C; None is 3 by SyncNet v2, and what is clear sync by the tiny one.
        most_offset: frames between picture and sound; the sound is shifted by them.
        least_sharpness: mean absolute Laplacian of the crop's luma, in levels of 255.
        syncnet: file.
        codec, audio_encoder, text: files of the released models, all or none.
    """

    frames: int = 81
    face: FaceChoice = "auto"
    least_size: float = 0.5
    least_sync: float | None = None
    most_offset: int = 6
    least_sharpness: float = 1.0
    syncnet: str | None = None
    codec: str | None = None
    audio_encoder: str | None = None
    text: str | None = None


@dataclass(frozen=True, eq=False)
class Tools:
    """What encodes and measures; ``size`` is the crop's edge in pixels, ``layout`` that of the face mesh."""

    codec: VideoCodec
    audio: AudioEncoder
    text: Tensor
    syncnet: SyncNet
    size: int
    layout: str


@lru_cache(maxsize=1)
def tools_of(settings: Settings) -> Tools:
    """Load everything, once in a process.

    Raises:
        InputError: a file is missing, or another kind's; only some of the released models' files are given.
    """
    files = settings.codec, settings.audio_encoder, settings.text
    syncnet = load_module(settings.syncnet, Kind.SYNCNET)[0].float() if settings.syncnet else family.load("syncnet")
    if not any(files):
        whole = family.tiny_family()
        return Tools(whole.codec, LogMelEncoder(), whole.text, syncnet, family.CROP_SIZE, DRAWN_LAYOUT)
    if not all(files):
        raise InputError("The released models need a codec, an audio encoder and a text embedding; give all three.")
    codec, audio = load_module(settings.codec, Kind.WAN_VAE)[0], load_module(settings.audio_encoder, Kind.WAV2VEC2)[0]
    text = load_text_embedding(settings.text, 4096)
    return Tools(codec, Wav2Vec2Encoder(audio.float()), text, syncnet, 512, LAYOUT)


@dataclass(frozen=True)
class Source:
    """A video and its sound; ``face`` is "full" where it is a face crop already."""

    name: str
    video: Path
    sound: Path
    face: FaceChoice


def sources(folder: Path, face: FaceChoice) -> list[Source]:
    """Videos of a folder and, in the reference's layout, of the sample folders in it; by name.

    Raises:
        InputError: there are none.
    """
    found = [Source(p.stem, p, p, face) for p in folder.glob("*") if p.suffix.lower() in SUFFIXES]
    found += [Source(p.parent.name, p, p.with_name(SOUND), "full") for p in folder.glob(f"*/{CLIP}")]
    if not found:
        raise InputError(f"{folder} holds no videos and no folders with {CLIP}; give a folder that does.")
    return sorted(found, key=lambda source: (source.name, source.video.name))


@dataclass(eq=False)
class Segment:
    """Successive frames of one person.

    Attributes:
        start: its first clock frame.
        run: number of the person's stay in the video.
        crops: uint8 [3, size, size] each.
        lips: what SyncNet sees, uint8 [H, W, 3] each.
        heights: of the face, in source pixels.
    """

    start: int
    run: int
    crops: list[Tensor] = field(default_factory=list)
    lips: list[Tensor] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)


def segments(source: Source, settings: Settings, tools: Tools) -> Iterator[Segment]:
    """Whole segments of everybody's stay in a video, the first one from where a stay begins."""
    current: Segment | None = None
    run, person = -1, None
    for index, (frame, seen) in enumerate(followed(source, tools)):
        sighting = seen.sightings[0] if seen.sightings and seen.sightings[0].opacity == 1 else None
        if sighting is None:
            current = person = None
            continue
        if sighting.person != person:
            person, run, current = sighting.person, run + 1, None
        current = current or Segment(index, run)
        look(current, frame, sighting.matrix, tools)
        if len(current.crops) == settings.frames:
            yield current
            current = None


def followed(source: Source, tools: Tools) -> Iterator[tuple[Frame, object]]:
    """Frames on the 25 fps clock, and who is seen in them."""
    follower = follower_for(source.face, layout=tools.layout)
    with VideoReader(source.video) as reader:
        for group in clock_frames(reader.frames()):
            shown = group.shows
            yield from follower.push(Frame(shown.picture, group.index / FPS, shown.pts, group.index))
        yield from follower.finish()


def look(segment: Segment, frame: Frame, matrix: Tensor, tools: Tools) -> None:
    """Add a frame to a segment."""
    picture, size = frame.picture, (tools.size, tools.size)
    region = face_region([picture], matrix[None])
    crop = crop_faces(region, matrix[None], size, (picture.height, picture.width))[0]
    config, half = tools.syncnet.config, BOX_SIZE[1] / (2 * matrix[1, :2].norm().item())
    if config.aligned:
        lips = whole_crop(crop.permute(1, 2, 0), config.image_size)
    else:
        centre = transform(invert(matrix), torch.tensor([BOX_CENTRE]))[0]
        lips = square_crop(frame.image, torch.tensor([*centre.tolist(), half]), config.image_size)
    segment.crops.append(crop)
    segment.lips.append(lips)
    segment.heights.append(2 * half)


def sharpness(crop: Tensor) -> float:
    """Mean absolute Laplacian of the luma of a crop uint8 [3, H, W], in levels."""
    luma = (crop.float() * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0)
    middle = luma[1:-1, 1:-1]
    return (luma[2:, 1:-1] + luma[:-2, 1:-1] + luma[1:-1, 2:] + luma[1:-1, :-2] - 4 * middle).abs().mean().item()


def verdict(figures: dict, report: SyncReport, settings: Settings, tools: Tools) -> str:
    """Why a segment is not taken; empty where it is."""
    published = 0.0 if tools.syncnet.config.clear else PUBLISHED_SYNC
    least = published if settings.least_sync is None else settings.least_sync
    if figures["face_height"] < settings.least_size * tools.size:
        return "small face"
    if figures["sharpness"] < settings.least_sharpness:
        return "blurred"
    if report.offset is None:
        return report.verdict.value
    if report.confidence < least:
        return "weak sync"
    return "" if abs(report.offset) <= settings.most_offset else "sound too far off"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A segment that was measured: its figures, why it is not taken, and its sound, shifted to fit."""

    segment: Segment
    figures: dict
    reason: str
    sound: Tensor


def measured(segment: Segment, waveform: Tensor, settings: Settings, tools: Tools) -> Candidate:
    """Measure a segment against the sound of its frames."""

    def heard(shift: int) -> Tensor:
        first = (segment.start - shift) * SAMPLES_PER_FRAME
        length = len(segment.crops) * SAMPLES_PER_FRAME
        padded = torch.nn.functional.pad(waveform[max(0, first) :], (max(0, -first), length))
        return padded[:length]

    report = score(tools.syncnet, torch.stack(segment.lips), heard(0))
    middle = len(segment.crops) // 2
    chosen = [segment.crops[i] for i in (0, middle, -1)]
    figures = {
        "start": segment.start,
        "face_height": round(sum(segment.heights) / len(segment.heights), 1),
        "sharpness": round(sum(map(sharpness, chosen)) / 3, 3),
        "sync_c": None if report.confidence is None else round(report.confidence, 3),
        "offset": report.offset,
    }
    return Candidate(segment, figures, verdict(figures, report, settings, tools), heard(report.offset or 0))


def candidates(source: Source, settings: Settings, tools: Tools) -> Iterator[tuple[Candidate, Segment | None]]:
    """Every segment with another one of the same stay, which shows the person at another time, or None.

    That is the next one; for the last one it is the one before.
    """
    waveform = AudioSource(source.sound).mono16k()
    before: Segment | None = None
    waiting: Candidate | None = None
    for segment in segments(source, settings, tools):
        if waiting is not None:
            together = segment.run == waiting.segment.run
            yield waiting, segment if together else before
            before = waiting.segment if together else None
        waiting = measured(segment, waveform, settings, tools)
    if waiting is not None:
        yield waiting, before


def write_sample(folder: Path, candidate: Candidate, reference: Segment, tools: Tools) -> None:
    """The reference's sample layout."""
    crops = torch.stack(candidate.segment.crops)
    frames, height, width = len(crops), *crops.shape[-2:]
    sound = Audio(candidate.sound[None], SAMPLE_RATE)
    with VideoWriter(folder / CLIP, width, height, Fraction(FPS), audio=sound) as writer:
        for n, crop in enumerate(crops):
            writer.write(crop.permute(1, 2, 0), n / FPS)
    with wave.open(str(folder / SOUND), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        samples = (candidate.sound * 32767).round().clamp(-32768, 32767).to(torch.int16)
        file.writeframes(samples.numpy().tobytes())
    (folder / PROMPT).write_text(WORDS)
    keep = 1 - pixel_mask(height, width).float()
    target, other = as_video(crops, tools), as_video(torch.stack(reference.crops), tools)
    latents = {"input_latents": encode(tools.codec, target), "masked_latents": encode(tools.codec, target * keep)}
    torch.save({name: value[0].bfloat16() for name, value in latents.items()}, folder / LATENTS)
    seen = {"ref_sequence_latents": encode(tools.codec, other)[0].bfloat16(), "ref_start": reference.start}
    torch.save(seen, folder / REFERENCE)
    rows = encode_audio(tools.audio, candidate.sound, frames)[:frames]
    about = {"total_video_frames": frames, "seq_len": frames, "fps": FPS, "feature_dim": rows.shape[1]}
    torch.save({"audio_emb": rows.float(), **about}, folder / FEATURES)
    torch.save(tools.text, folder / TEXT)


def as_video(crops: Tensor, tools: Tools) -> Tensor:
    """uint8 [T, 3, H, W] to codec pixels [1, 3, T, H, W] in [-1, 1]."""
    return (crops.float() / 127.5 - 1).transpose(0, 1)[None].to(tools.text.dtype)


@torch.inference_mode()
def prepare_source(source: Source, settings: Settings, out: Path) -> list[dict]:
    """All segments of one video, each with figures and the reason why it was not taken, which is empty for samples."""
    tools = tools_of(settings)
    rows = []
    try:
        for candidate, reference in candidates(source, settings, tools):
            reason = candidate.reason or ("" if reference else "no other segment for the reference")
            name = f"{source.name}_{candidate.segment.start:06d}"
            rows.append({"sample": name, **candidate.figures, "reason": reason})
            if not reason:
                what = {"video": content(source.video), "settings": asdict(settings), **candidate.figures}
                write = partial(write_sample, candidate=candidate, reference=reference, tools=tools)
                rows[-1]["sample"] = made(out / "samples", name, what, write).name
    except InputError as error:
        return [{"sample": source.name, "reason": str(error)}]
    return rows or [{"sample": source.name, "reason": f"nobody is seen for {settings.frames} frames"}]


def content(path: Path) -> str:
    """Hash of a file."""
    with open(path, "rb") as file:
        digest = hashlib.blake2b(digest_size=8)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def prepared_source(source: Source, settings: Settings, out: Path) -> list[dict]:
    """``prepare_source``, or what it found before."""

    def make(folder: Path) -> None:
        (folder / "rows.json").write_text(json.dumps(prepare_source(source, settings, out), indent=1))

    what = {"video": content(source.video), "face": source.face, "settings": asdict(settings)}
    if source.sound != source.video and source.sound.exists():
        what["sound"] = content(source.sound)
    folder = made(out / "videos", source.name, what, make)
    return json.loads((folder / "rows.json").read_text())


def prepare(
    folder: Path,
    out: Path,
    settings: Settings,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[dict]:
    """Prepare all videos of a folder; what was done before is not done again.

    Args:
        folder: see ``sources``.
        out: gets ``samples/<name>-<hash>``, ``videos``, ``train.txt`` (a sample folder per line) and ``report.json``.
        settings: see ``Settings``.
        workers: processes; the result does not depend on how many.
        progress: told how many of how many videos are done.

    Raises:
        InputError: there are no videos, or the models' files are wrong.
    """
    found = sources(folder, settings.face)
    tools_of(settings)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    work = partial(prepared_source, settings=settings, out=out)
    for done, more in enumerate(_map(work, found, workers), 1):
        rows += more
        progress(done, len(found))
    taken = [row["sample"] for row in rows if not row["reason"]]
    (out / "train.txt").write_text("".join(f"{out / 'samples' / name}\n" for name in taken))
    (out / "report.json").write_text(json.dumps({"settings": asdict(settings), "segments": rows}, indent=1))
    return rows


def _map(work: Callable, items: Sequence, workers: int) -> Iterator:
    """Results in the order of ``items``."""
    if workers == 1:
        yield from map(work, items)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(work, items)


def outcome(rows: Sequence[dict]) -> dict[str, int]:
    """How many segments were taken, and how many were not for which reason."""
    return dict(Counter(row["reason"] or "taken" for row in rows).most_common())
