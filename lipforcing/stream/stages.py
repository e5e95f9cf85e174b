"""The stages of a chunk: functions of it that fill it from left to right, each for all its lanes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby

import torch
from torch import Tensor

from ..codecs.base import VideoCodec
from ..errors import InputError
from ..faces.align import CROP_SIZE
from ..faces.crop import Region, as_input, crop_faces, face_region
from ..faces.mask import latent_mask, pixel_mask
from ..faces.paste import Patches, paste, paste_weights
from ..media import Patch
from ..models import Conditioning, Rolling, Text
from ..models.conditioning import planes
from ..sampling.causal import denoise_chunk
from ..timeline import CHUNK_LATENTS, TEMPORAL_FACTOR
from .chunk import Chunk, Lane, Output, Place
from .family import Family
from .run import Run, past_of, split_past

TOGETHER = 4  # pictures that are worked on at a time on a CPU, where larger results cost more than calls,
PIXELS = TOGETHER << 18  # if they have no more than these: from 32 MB on memory is fetched anew every time

Stage = Callable[[Chunk], None]
Check = Callable[[], None]
"""Called again and again while work goes on; what it raises ends the work."""


def go_on() -> None:
    """The check of those whom nobody stops."""


class Stages:
    """What is done to a chunk. A stage touches its own part of a run only, so stages may work on different chunks.

    Args:
        family: the models.
        keep_states: remember in every lane the states before its chunk (``Lane.before``).
        check: called between the pictures of a chunk.
    """

    def __init__(self, family: Family, keep_states: bool = False, check: Check = go_on) -> None:
        self.family = family
        self._keep_states = keep_states
        self._check = check
        edge = family.crop_size // 8
        place = {"device": family.device, "dtype": family.dtype}
        self._mask = latent_mask(edge, edge).to(**place)[None, None, None]
        self._text: Text | None = None
        self._geometry = None
        self._times = None

    def in_order(self) -> dict[str, Stage]:
        """All stages by name, in their order."""
        return {
            "crop": self.crop,
            "encode": self.encode,
            "denoise": self.denoise,
            "decode": self.decode,
            "paste": self.paste,
        }

    @torch.inference_mode()
    def crop(self, chunk: Chunk) -> None:
        """Aligned crops of every lane's places."""
        for lane in chunk.lanes:
            lane.crops = crop_places(lane.places, self.family.crop_size, self.family.device, self._check)

    @torch.inference_mode()
    def encode(self, chunk: Chunk) -> None:
        """Conditions of every lane: both driving videos in one call of the codec, and the packed speech."""
        for lane in chunk.lanes:
            run = lane.run
            if self._keep_states:
                lane.before["encode"] = run.encoder.copy(), run.reference
            text = self._prompt()  # first: a host loads its models with the student
            sequence, masked = run.encoder(masked_beside(lane.crops, self.family.dtype)).split(1)
            lane.crops = None
            run.reference = sequence[:, :, :1] if run.reference is None else run.reference
            channels = planes(run.reference, self._mask, masked, sequence)
            lane.conditioning = Conditioning(channels, _speech(lane), text)

    @torch.inference_mode()
    def denoise(self, chunk: Chunk) -> None:
        """Clean latents of every lane, in batches of those with an equal past. What is pending becomes past first."""
        self._write_pending([lane.run for lane in chunk.lanes], chunk)
        for lanes in _alike(chunk.lanes, lambda lane: lane.run.past.frames):
            self._denoise([*lanes])

    def _write_pending(self, runs: Sequence[Run], chunk: Chunk) -> None:
        if self._keep_states:
            for lane in chunk.lanes:
                lane.before["denoise"] = lane.run.past, lane.run.pending, lane.run.chunks
        student = self.family.student
        for group in _alike([run for run in runs if run.pending], lambda run: run.past.frames):
            written = [*group]
            latents, conditions = zip(*(run.pending for run in written))
            window = Rolling(self._grid(latents[0]), past_of(written))
            time = self._levels(latents[0])[0.0]
            past = student.cache_write(_batch(latents), time, _together(conditions), window)
            for run, own in zip(written, split_past(past, len(written))):
                run.past, run.pending = own, None

    def _denoise(self, lanes: list[Lane]) -> None:
        student, sigmas = self.family.student, self.family.sigmas
        conditioning = _together([lane.conditioning for lane in lanes])
        like = conditioning.planes
        window = Rolling(self._grid(like), past_of([lane.run for lane in lanes]))
        levels = self._levels(like)
        shape = (1, student.config.out_dim, *like.shape[2:])
        draws = [lane.run.key.draws(lane.run.chunks, len(sigmas) - 1, shape) for lane in lanes]
        noise = torch.cat(draws, dim=1).to(like)
        latents = denoise_chunk(lambda x, s: student.x0(x, s, levels[s], conditioning, window), noise, sigmas)
        for lane, own in zip(lanes, latents.split(1)):
            lane.latents = own
            lane.run.pending = own, lane.conditioning
            lane.run.chunks += 1

    @torch.inference_mode()
    def decode(self, chunk: Chunk) -> None:
        """Faces of every lane."""
        for lane in chunk.lanes:
            if self._keep_states:
                lane.before["decode"] = lane.run.decoder.copy()
            lane.faces = lane.run.decoder(lane.latents)[0].transpose(0, 1)

    @torch.inference_mode()
    def paste(self, chunk: Chunk) -> None:
        """Finished pictures of all outputs."""
        if self._keep_states:
            for lane in chunk.lanes:
                lane.before["paste"] = lane.run.match.copy(), lane.run.last_face
        paste_faces(chunk, self._check)

    def _prompt(self) -> Text:
        """The prompt as the student reads it, embedded once."""
        if self._text is None:
            self._text = self.family.student.embed_text(self.family.text)
        return self._text

    def _grid(self, like: Tensor):
        if self._geometry is None:
            self._geometry = self.family.student.geometry(like)
        return self._geometry

    def _levels(self, like: Tensor):
        if self._times is None:
            self._times = self.family.student.embed_times((*self.family.sigmas, 0.0), like)
        return self._times


def rewind(chunk: Chunk) -> None:
    """Undo what the stages did to a chunk and its runs, with the states that were kept; later chunks first."""
    for lane in chunk.lanes:
        run, before = lane.run, lane.before
        if "encode" in before:
            encoder, run.reference = before["encode"]
            run.encoder = encoder.copy()
        if "denoise" in before:
            run.past, run.pending, run.chunks = before["denoise"]
        if "decode" in before:
            run.decoder = before["decode"].copy()
        if "paste" in before:
            match, run.last_face = before["paste"]
            run.match = match.copy()
        lane.before, lane.crops, lane.conditioning, lane.latents, lane.faces = {}, None, None, None, None
    for output in chunk.outputs:
        output.picture, output.pasted = None, ()


def crop_places(places: Sequence[Place], size: int, device: torch.device | str, check: Check = go_on) -> Tensor:
    """Aligned crops uint8 [N, 3, size, size]; every place is looked at once, however often it is repeated."""
    numbers = {place: number for number, place in enumerate(dict.fromkeys(places))}
    crops = torch.cat([_crop(group, size, device) for group in _groups([*numbers], places[0], device, check)])
    return crops if len(numbers) == len(places) else crops[[numbers[place] for place in places]]


def _crop(places: Sequence[Place], size: int, device: torch.device | str) -> Tensor:
    pictures = [place.frame.picture for place in places]
    matrices = torch.stack([place.matrix for place in places])
    region = face_region(pictures, matrices, device)
    for number, place in enumerate(places):
        place.region = region, number
    return crop_faces(region, matrices, (size, size), (pictures[0].height, pictures[0].width))


def paste_faces(chunk: Chunk, check: Check = go_on) -> None:
    """Finished pictures of all outputs from the lanes' faces; a picture without a face is the source's own."""
    patches: dict[Output, list[Patch]] = {}
    for lane in chunk.lanes:
        shown = [output for output in chunk.outputs if output.high >= lane.first and _opacity(lane.run, output)]
        for output, patch in zip(shown, _lane_patches(lane, shown, check)):
            if patch is not None:
                patches.setdefault(output, []).append(patch)
        lane.run.last_face = lane.faces[-1]
    for output in chunk.outputs:
        check()
        mine = patches.get(output)
        output.pasted = tuple(patch.rectangle for patch in mine or ())
        output.picture = output.frame.picture.patched(mine) if mine else output.frame.picture


def _lane_patches(lane: Lane, outputs: list[Output], check: Check) -> Iterable[Patch | None]:
    """What a lane lays over the pictures of outputs; None where all of a group lies outside."""
    first = outputs[0].places[lane.run] if outputs else None
    for group in _groups(outputs, first, lane.faces.device, check):
        patches = _paste(lane, group)
        yield from [None] * len(group) if patches is None else _one_by_one(patches.cpu())


def pasted_weights(output: Output) -> Tensor:
    """How much of each pixel of a finished output is generated, float [H, W]: what :func:`paste_faces` laid over it."""
    size = (output.frame.picture.height, output.frame.picture.width)
    kept = torch.ones(size)
    for run, place in output.places.items() if output.pasted else ():
        kept *= 1 - paste_weights(place.matrix[None], [_opacity(run, output)], size)[0]
    return 1 - kept


def _opacity(run: Run, output: Output) -> float:
    """How much of a run's mouth an output shows: 0 where its face is not in it, or the source's own mouth stays."""
    place, voice = output.places.get(run), run.voice
    if place is None or voice is None:
        return 0.0 if place is None else place.opacity
    return place.opacity * voice.opacity(place.frame.time)


def _paste(lane: Lane, outputs: list[Output]) -> Patches | None:
    places = [output.places[lane.run] for output in outputs]
    faces = torch.stack([_mouth(lane, output) for output in outputs])
    if not faces.sum().isfinite():
        raise InputError(
            "The student generated pixels that are not numbers; its weights, or the precision they run in, are broken: "
            "load the file again, or choose bf16 or fp32."
        )
    picture = places[0].frame.picture
    patches = paste(
        faces,
        torch.stack([place.matrix for place in places]),
        [_opacity(lane.run, output) for output in outputs],
        lambda rows, columns: _source(places, rows, columns, faces.device),
        (picture.height, picture.width),
        lane.run.match,
        [place.frame.time for place in places],
    )
    for place in places:
        place.region = None
    return patches


def _groups(items: Sequence, first: Place | None, device: torch.device | str, check: Check) -> Iterable[Sequence]:
    """Items that are worked on together: all on a GPU, a few on a CPU, of large faces (as the ``first``) fewer."""
    size = max(1, len(items))
    if first is not None and torch.device(device).type == "cpu":
        pixels = CROP_SIZE[0] * CROP_SIZE[1] / float(first.matrix[:, :2].det())
        size = min(TOGETHER, max(1, int(PIXELS / pixels)))
    for start in range(0, len(items), size):
        check()
        yield items[start : start + size]


def masked_beside(crops: Tensor, dtype: torch.dtype) -> Tensor:
    """Both driving videos [2, 3, T, S, S] of crops uint8 [T, 3, S, S]: as they are, and with the mouth greyed out."""
    video = as_input(crops, dtype).transpose(0, 1)
    both = torch.stack((video, video))
    both[1].masked_fill_(pixel_mask(*crops.shape[-2:]).to(crops.device), 0.0)
    return both


def driving_latents(
    codec: VideoCodec, pieces: Iterable[Tensor], dtype: torch.dtype = torch.float32
) -> Iterable[tuple[Tensor, Tensor]]:
    """Latents of a whole clip for the bidirectional network: of the clip, and of the clip without its mouth.

    Args:
        codec: encodes.
        pieces: crops uint8 [T, 3, S, S], T = 1 + 4k in the first, 4k later.
        dtype: of the codec.
    """
    encoder = codec.encode_stream()
    for piece in _ahead(pieces, codec.look_ahead):
        sequence, masked = encoder(masked_beside(piece, dtype)).split(1)
        yield sequence, masked


def _ahead(pieces: Iterable[Tensor], frames: int) -> Iterable[Tensor]:
    """Pieces cut anew so that they run ``frames`` ahead; the last frame is repeated."""
    held = None
    for piece in pieces:
        if held is not None:
            yield torch.cat((held, piece[:frames]))
            piece = piece[frames:]
        held = piece
    if held is not None:
        yield torch.cat((held, held[-1:].expand(frames, *held.shape[1:])))


def _speech(lane: Lane) -> Tensor:
    """Packed speech of a lane's three latent frames [1, 3, audio_hidden]."""
    times, voice = lane.times, lane.run.voice
    first = len(times) % TEMPORAL_FACTOR  # a run's first latent frame is one frame
    vectors = [voice.alone(times[0])] if first else []
    vectors += [voice.window(times[i : i + TEMPORAL_FACTOR]) for i in range(first, len(times), TEMPORAL_FACTOR)]
    assert len(vectors) == CHUNK_LATENTS
    return torch.stack(vectors, dim=1)


def _mouth(lane: Lane, output: Output) -> Tensor:
    """The face [3, S, S] of an output, between those of two ticks."""
    high = lane.faces[output.high - lane.offset]
    if output.share == 1:
        return high
    low = lane.run.last_face if output.low < lane.offset else lane.faces[output.low - lane.offset]
    return high if low is None else torch.lerp(low, high, output.share)


def _source(places: list[Place], rows: slice, columns: slice, device: torch.device) -> Tensor:
    """The pictures' own pixels in a rectangle, [T, 3, h, w]: from what was looked at before, where it is in there."""
    region, first = places[0].region or (None, 0)
    if all(place.region == (region, first + number) for number, place in enumerate(places)):
        # As the crop left them: nothing is to be copied.
        parts = _part(region, slice(first, first + len(places)), rows, columns)
        if parts is not None:
            return parts
    pixels = []
    for place in places:
        part = _part(*place.region, rows, columns) if place.region is not None else None
        if part is None:
            size = rows.stop - rows.start, columns.stop - columns.start
            part = place.frame.picture.region(rows.start, columns.start, *size).to(device)
        pixels.append(part)
    return torch.stack(pixels)


def _part(region: Region, number: int | slice, rows: slice, columns: slice) -> Tensor | None:
    """Rows and columns of a picture or several ones, where they are in a region."""
    top, left = rows.start - region.top, columns.start - region.left
    bottom, right = rows.stop - region.top, columns.stop - region.left
    height, width = region.pixels.shape[-2:]
    if top < 0 or left < 0 or bottom > height or right > width:
        return None
    return region.pixels[number, :, top:bottom, left:right]


def _one_by_one(patches: Patches) -> Iterable[Patch]:
    for pixels, opacity in zip(patches.pixels, patches.opacity):
        yield Patch(patches.top, patches.left, pixels, opacity)


def _alike(items: Iterable, key: Callable) -> Iterable[Iterable]:
    """Items in groups of equal ``key``."""
    return (group for _, group in groupby(sorted(items, key=key), key))


def _batch(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tuple(tensors))


def _together(conditions: Sequence[Conditioning]) -> Conditioning:
    """Conditions of several runs as a batch; the prompt is the same for all."""
    if len(conditions) == 1:
        return conditions[0]
    text = conditions[0].text
    layers = tuple(tuple(part.expand(len(conditions), -1, -1, -1) for part in layer) for layer in text.layers)
    return Conditioning(
        torch.cat([one.planes for one in conditions]),
        torch.cat([one.audio for one in conditions]),
        replace(text, layers=layers),
    )
