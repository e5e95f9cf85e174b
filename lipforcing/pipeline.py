"""Video and speech in, lip-synchronised video out: the generator that joins all rooms.

One loop serves files, nodes and live use. It pulls source frames, chunk by chunk, and yields finished frames; nothing
it holds grows with the length of the clip, except the packed audio (a few dozen numbers per latent frame).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, count, groupby, islice, tee
from operator import itemgetter
from pathlib import Path

import torch
from torch import Tensor

from .codecs.base import VideoCodec
from .errors import InputError
from .faces.align import crop_faces
from .faces.composite import composite
from .faces.mask import latent_mask, pixel_mask
from .faces.shots import CutDetector
from .faces.track import FaceTrack, Tracker
from .media import (
    Audio,
    AudioSource,
    ClockGroup,
    CodecChoice,
    DurationPolicy,
    Frame,
    Plan,
    VideoReader,
    VideoWriter,
    check_output,
    clock_frames,
    extended_frames,
)
from .models import Conditioning
from .models.conditioning import planes
from .sampling.causal import CausalStream, sample_causal
from .sampling.noise import NoiseKey
from .stream.family import Family
from .timeline import chunk_frames_span, chunks_for_frames, frames_for_chunks, frames_for_samples


@dataclass(frozen=True)
class SyncOptions:
    """Choices of a run.

    Attributes:
        seed: of the noise; equal seeds give equal frames.
        duration: what decides the output's length, and what fills it.
        lossless: write a file that decodes to exactly the finished pixels.
        quality: of a lossy file, on x264's scale, 0 to 51, lower is better; None is hardly to be told from the source.
        video_codec: "auto", or one of ``media.encoding``.
    """

    seed: int = 42
    duration: DurationPolicy = field(default_factory=DurationPolicy)
    lossless: bool = False
    quality: float | None = None
    video_codec: CodecChoice = "auto"


DEFAULT_OPTIONS = SyncOptions()


@dataclass(frozen=True)
class SyncResult:
    """What a run did.

    Attributes:
        path: the file written.
        plan: length policy as it was applied.
        frames: frames written; ``untouched`` of them had no usable face.
        seconds: wall time from the first frame read to the last written.
        first_frame_seconds: wall time until the first finished frame.
    """

    path: Path
    plan: Plan
    frames: int
    untouched: int
    seconds: float
    first_frame_seconds: float

    @property
    def fps(self) -> float:
        """Finished frames per second of wall time."""
        return self.frames / self.seconds


@dataclass(frozen=True)
class FaceChunk:
    """Source frames of one chunk, held until its mouths are ready.

    Attributes:
        groups: the clock frames that exist; the codec also gets repetitions of the last to fill the chunk.
        track: of all their outputs.
        crops: aligned faces [T, 3, S, S] in [-1, 1], T = 9 in the first chunk and 12 in every other.
    """

    groups: list[ClockGroup]
    track: FaceTrack
    crops: Tensor


def feature_rows(frames: int) -> int:
    """How many rows of audio features a clip of ``frames`` clock frames needs: those of whole chunks."""
    return frames_for_chunks(chunks_for_frames(frames))


def pack_audio(models: Family, features: Tensor) -> Iterator[Tensor]:
    """Packed audio of chunk after chunk, each [1, 3, audio_hidden], without end.

    ``features`` [V, D]: one row per clock frame from the start of the stream on; the last one goes on.
    """
    rows = features.to(device=models.device, dtype=models.dtype)
    for chunk in count():
        start, end = chunk_frames_span(chunk)
        # Chunk by chunk, not at once: a matrix product's rounding depends on its size, and equal seeds shall give equal
        # frames whatever the clip's length.
        piece = rows[start:end]
        missing = rows[-1:].expand(end - start - len(piece), -1)
        yield models.student.embed_audio(torch.cat((piece, missing))[None])


def generate_latents(models: Family, crops: Iterable[Tensor], features: Tensor, noise: NoiseKey) -> Iterator[Tensor]:
    """Re-render the mouths of a stream of aligned face crops: of one shot, with nothing before it.

    Args:
        models: see ``Family``.
        crops: per chunk [T, 3, S, S] in [-1, 1], T = 9 in the first chunk and 12 in every other.
        features: of the speech from the first crop on, [V, D].
        noise: whose noise is used.

    Yields:
        per chunk the clean latents [1, 16, 3, S / 8, S / 8].
    """
    text = models.student.embed_text(models.text)
    edge = models.crop_size // 8
    mouth_mask = latent_mask(edge, edge).to(device=models.device, dtype=models.dtype)[None, None, None]

    def conditions() -> Iterator[Conditioning]:
        ref_latent = None
        driving = encode_driving(models.codec, crops, models.device, models.dtype)
        for (reference, masked), audio in zip(driving, pack_audio(models, features)):
            ref_latent = reference[:, :, :1] if ref_latent is None else ref_latent
            yield Conditioning(planes(ref_latent, mouth_mask, masked, reference), audio, text)

    stream = CausalStream(models.student, mouth_mask, models.sigmas)
    return sample_causal(stream, conditions(), noise, models.sigmas)


def encode_driving(
    codec: VideoCodec, crops: Iterable[Tensor], device: torch.device, dtype: torch.dtype
) -> Iterator[tuple[Tensor, Tensor]]:
    """Encode a stream of face crops, as they are and with the mouth greyed out, in one batched call per piece.

    Args:
        codec: encodes.
        crops: pieces [T, 3, S, S] in [-1, 1]; T = 1 + 4k in the first, 4k later.
        device, dtype: of the latents.

    Yields:
        per piece the latents of the clip and those of the masked clip, each [1, 16, t, S / 8, S / 8].
    """
    encoder = codec.encode_stream()
    for piece in ahead(crops, codec.look_ahead):
        video = piece.to(device=device, dtype=dtype).transpose(0, 1)
        keep = (~pixel_mask(*video.shape[-2:])).to(video)
        reference, masked = encoder(torch.stack((video, video * keep))).split(1)
        yield reference, masked


def ahead(pieces: Iterable[Tensor], frames: int) -> Iterator[Tensor]:
    """Pieces [T, ...] of a clip cut anew so that they run ``frames`` ahead; the clip's last frame is repeated."""
    if not frames:
        yield from pieces
        return
    held = None
    for piece in pieces:
        if held is not None:
            yield torch.cat((held, piece[:frames]))
            piece = piece[frames:]
        held = piece
    if held is not None:
        yield torch.cat((held, held[-1:].expand(frames, *held.shape[1:])))


@dataclass(frozen=True)
class GeneratedChunk:
    """What the student made of one chunk.

    Attributes:
        source: its frames.
        latents: [1, 16, 3, S / 8, S / 8].
        faces: decoded crops of its clock frames [T, 3, S, S] in [-1, 1].
    """

    source: FaceChunk
    latents: Tensor
    faces: Tensor


def generate(
    models: Family, groups: Iterable[ClockGroup], tracker: Tracker, features: Tensor, seed: int
) -> Iterator[GeneratedChunk]:
    """Re-render the mouth in a stream of source frames, shot by shot.

    Where a shot starts, everything does: chunks, caches and the reference frame; another picture's past would only
    mislead the student.

    Args:
        models: see ``Family``.
        groups: source frames on the 25 fps clock.
        tracker: finds the face in every frame.
        features: of the speech, [V, D], see ``feature_rows``.
        seed: of the noise.
    """
    start = 0
    for shot in shots(groups):
        for chunk in _generate_shot(models, shot, tracker, features[start:], NoiseKey(seed, start)):
            yield chunk
            start += len(chunk.source.groups)


def _generate_shot(
    models: Family, groups: Iterable[ClockGroup], tracker: Tracker, features: Tensor, noise: NoiseKey
) -> Iterator[GeneratedChunk]:
    waiting: deque[FaceChunk] = deque()

    def crops() -> Iterator[Tensor]:
        for chunk in face_chunks(groups, tracker, models.crop_size):
            waiting.append(chunk)
            yield chunk.crops

    decoder = models.decoder.decode_stream()
    for latents in generate_latents(models, crops(), features, noise):
        source = waiting.popleft()
        yield GeneratedChunk(source, latents, decoder(latents)[0, :, : len(source.groups)].transpose(0, 1))


def shots(groups: Iterable[ClockGroup]) -> Iterator[Iterator[ClockGroup]]:
    """The clock cut where shots start. Each shot is to be used up before the next one is asked for."""
    cuts = CutDetector()

    def starts(group: ClockGroup) -> bool:
        return bool(group.outputs) and any(cuts(torch.stack([frame.image for frame in group.outputs])))

    numbers, stream = tee(groups)
    numbered = zip(accumulate(map(starts, numbers)), stream)
    for _, shot in groupby(numbered, key=itemgetter(0)):
        yield map(itemgetter(1), shot)


@torch.inference_mode()
def sync_frames(
    models: Family, groups: Iterable[ClockGroup], tracker: Tracker, features: Tensor, seed: int
) -> Iterator[tuple[Frame, Tensor, bool]]:
    """Lip-synchronise a stream of source frames; arguments as ``generate``.

    Yields:
        source frame, finished picture uint8 [H, W, 3], and whether a face was rendered into it.
    """
    for chunk in generate(models, groups, tracker, features, seed):
        yield from paste(chunk.source.groups, chunk.source.track, chunk.faces)


def paste(groups: Sequence[ClockGroup], track: FaceTrack, faces: Tensor) -> Iterator[tuple[Frame, Tensor, bool]]:
    """Composite generated mouths into the source frames that carry them.

    Args:
        groups: successive clock frames.
        track: of all their outputs.
        faces: generated crops of these clock frames [T, 3, S, S] in [-1, 1].

    Yields:
        source frame, finished picture uint8 [H, W, 3], and whether a face was rendered into it.
    """
    outputs = [frame for group in groups for frame in group.outputs]
    if outputs:
        mouths = [faces[i] for i, group in enumerate(groups) for _ in group.outputs]
        pictures = composite(torch.stack([frame.image for frame in outputs]), torch.stack(mouths), track)
        yield from zip(outputs, pictures, track.visible.tolist())


def face_chunks(groups: Iterable[ClockGroup], tracker: Tracker, size: int) -> Iterator[FaceChunk]:
    """Cut the clock into chunks, track the face in their frames and warp it into crops of ``size`` pixels."""
    stream = iter(groups)
    last_crop: Tensor | None = None  # what a clock frame shows whose source frame came in an earlier chunk
    number = 0
    while piece := list(islice(stream, _length(number))):
        outputs = [frame for group in piece for frame in group.outputs]
        if outputs:
            images = torch.stack([frame.image for frame in outputs])
            track = tracker.update(images)
            crops = crop_faces(images, track.matrices, (size, size))
        else:
            track, crops = FaceTrack.empty(tracker.frame_size), None
        shown, done = [], 0
        for group in piece:
            done += len(group.outputs)
            last_crop = crops[done - 1] if done else last_crop
            shown.append(last_crop)
        shown += [last_crop] * (_length(number) - len(piece))
        yield FaceChunk(piece, track, torch.stack(shown))
        number += 1


def _length(chunk: int) -> int:
    first, end = chunk_frames_span(chunk)
    return end - first


def clock_length(plan: Plan) -> int:
    """An upper bound of the number of clock frames of a planned output."""
    return frames_for_samples(int(plan.seconds * 16000) + 1) + 1


def sync_file(
    models: Family,
    video: VideoReader,
    audio: Audio | AudioSource,
    out: str | Path,
    tracker: Tracker,
    options: SyncOptions = DEFAULT_OPTIONS,
    progress: Callable[[int, int, Tensor], None] | None = None,
) -> SyncResult:
    """Lip-synchronise a video file to a speech recording and write the result.

    Size, frame rate and timestamps are the source's; every pixel outside the blended mouth is the decoded source
    pixel; the audio is muxed at full quality. Length and filling follow ``options.duration``. The output appears under
    its name only when complete.

    Args:
        models: see ``Family``.
        video, audio: sources.
        out: path of the result.
        tracker: finds the face.
        options: see ``SyncOptions``.
        progress: called with (frames done, frames planned, finished picture uint8 [H, W, 3]) after every frame; an
            exception raised there cancels the run and removes what was written.

    Raises:
        InputError: the output cannot be written, or no frame shows a face.
    """
    info = video.info
    check_output(out, [video.source, *([audio.source] if isinstance(audio, AudioSource) else [])])
    plan = options.duration.plan(audio.seconds, info.frame_rate, info.duration, info.frame_count)
    waveform = audio.mono16k()
    clock = clock_length(plan)
    began = time.monotonic()
    first = None
    done = untouched = 0
    coding = {"codec": options.video_codec, "quality": options.quality, "lossless": options.lossless, "pictures": None}
    with VideoWriter.like(out, info, audio=audio, pad_audio=plan.silence > 0, **coding) as writer:
        features = models.audio(waveform.to(models.device), feature_rows(clock))
        groups = clock_frames(extended_frames(video, plan))
        for frame, picture, visible in sync_frames(models, groups, tracker, features, options.seed):
            first = first or time.monotonic() - began
            writer.write(picture, frame.time)
            done += 1
            untouched += not visible
            if progress is not None:
                progress(done, plan.frames, picture)
        if not tracker.found:
            raise InputError(
                f"No face was found in {video.source}; choose footage that shows a face at least 50 pixels wide, or "
                "say where it is: a box x0,y0,x1,y1, or full for footage that is a face crop already."
            )
    return SyncResult(Path(out), plan, done, untouched, time.monotonic() - began, first)
