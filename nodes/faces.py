"""Following the face, and putting the new mouth back."""

from __future__ import annotations

from dataclasses import replace

from . import host, inputs, sockets
from .node_api import io
from .progress import StepProgress
from .results import RESULTS
from .tracked import CROPS, NO_FACE, TrackedVideo, check_boxes, follower_for, open_reader, refuse_parts, shown
from .values import audio_of

PREVIEWS = 8  # frames of the preview, evenly spread
PREVIEW_SIDE = 384  # pixels, either way
AROUND = 1.6  # side of what the preview shows, by the larger side of the crop that the models see


class LipForcingFaceTrack(io.ComfyNode):
    """VIDEO or IMAGE -> LIPFORCING_TRACK: where the face is in every frame of the output."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingFaceTrack",
            display_name="Lip Forcing Face Track",
            category="lip forcing",
            description=(
                "Finds a face and follows it through the video, frame by frame, at constant memory. Also decides how "
                "long the result is. Frames without a usable face will pass through untouched."
            ),
            search_aliases=["face detection", "face align", "face crop"],
            inputs=[
                inputs.footage(),
                inputs.face(),
                inputs.fps(),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The new speech, if the result shall be as long as it (see length). Open: the video.",
                ),
                inputs.length(),
                inputs.fill(),
                inputs.part(
                    "first_seconds",
                    "Only the beginning of the result, to try things out: 0 to 36000 seconds; 0 is everything.",
                ),
                *inputs.known_faces(),
                inputs.speakers("the same as at Lip Forcing Audio Encode; their mouths are made anew as well"),
                io.Combo.Input(
                    "crop",
                    options=[*CROPS],
                    default="released",
                    optional=True,
                    advanced=True,
                    tooltip=(
                        "Which crop of a face found by auto or center the student wants. released: that of the "
                        "released models. tiny: that of the tiny one, which knows drawn faces, whose noses are low."
                    ),
                ),
            ],
            outputs=[
                sockets.Track.Output("track", display_name="track", tooltip="The followed face, for all other nodes."),
                io.Image.Output(
                    "track_preview",
                    display_name="preview",
                    tooltip="Up to 8 frames, zoomed to the face, with the region that will be generated tinted.",
                ),
                io.String.Output("summary", display_name="summary", tooltip="What the result consists of, in words."),
            ],
            hidden=[io.Hidden.unique_id, io.Hidden.prompt],
        )

    @classmethod
    def execute(
        cls,
        video,
        face: str,
        fps: float,
        audio=None,
        length: str = "audio",
        fill: str = "pingpong",
        first_seconds: float = 0.0,
        face_landmarks=None,
        bboxes=None,
        face_detection_model=None,
        speakers=(),
        crop: str = "released",
    ) -> io.NodeOutput:
        from ..lipforcing.errors import InputError
        from ..lipforcing.faces.follow import Track
        from ..lipforcing.media import DurationPolicy, extended_frames

        refuse_parts(cls.hidden.prompt, cls.hidden.unique_id)
        with open_reader(video, fps) as reader:
            info = reader.info
            check_boxes(bboxes, info.width, info.height)
            said = [] if audio is None else [audio_of(audio), *(speaker.audio for speaker in speakers)]
            seconds = max((one.seconds for one in said), default=info.duration)
            policy = DurationPolicy("video" if audio is None else length, fill)
            if first_seconds:
                whole = info.duration if policy.length == "video" else seconds
                seconds, policy = min(first_seconds, whole), replace(policy, length="audio")
            plan = policy.plan(seconds, info.frame_rate, info.duration, info.frame_count)
            known, others = (face_landmarks, bboxes, face_detection_model), [speaker.face for speaker in speakers]
            follower = follower_for(face, *known, plan.available_frames, fill, others, CROPS[crop])
            progress = StepProgress(plan.frames)
            found, previews = [], _Previews(plan.frames)
            for frame in extended_frames(reader, plan):
                for followed in follower.push(frame):
                    previews.add(len(found), *followed)
                    found.append(followed[1])
                progress.step()
            for followed in follower.finish():
                previews.add(len(found), *followed)
                found.append(followed[1])
        track = Track(tuple(found), (info.height, info.width))
        if not track.found:
            raise InputError(NO_FACE)
        untouched = len(track) - track.found
        summary = plan.description + (
            f" {untouched} frames have no usable face and stay as they are." * bool(untouched)
        )
        if reader.damaged_packets:
            summary += (
                f" {reader.damaged_packets} packets of the video could not be decoded whole; the file is damaged."
            )
        own = face != "full" and all(faces is None for faces in known)
        tracked = TrackedVideo(video, fps, plan, track, 1 + len(speakers), CROPS[crop] if own else None)
        return io.NodeOutput(tracked, previews.batch(), summary)


class _Previews:
    """Small pictures of some frames with the generated region tinted.

    Args:
        frames: how many frames there will be, about.
    """

    def __init__(self, frames: int) -> None:
        self._wanted = {round(n * (frames - 1) / max(1, PREVIEWS - 1)) for n in range(PREVIEWS)}
        self._pictures = []

    def add(self, number: int, frame, seen) -> None:
        """Look at a frame and what is seen in it."""
        if number in self._wanted:
            self._pictures.append(_tinted(frame.picture, seen))

    def batch(self):
        """IMAGE [N, h, w, 3]."""
        import torch

        return torch.stack(self._pictures)


def _tinted(picture, seen):
    """Picture float [PREVIEW_SIDE, PREVIEW_SIDE, 3] of what surrounds the faces of a frame, the regions to be generated
    in light green; of the whole frame where nobody is seen.
    """
    import torch

    from ..lipforcing.faces.paste import paste_weights
    from ..lipforcing.faces.warp import compose, resize, shift_matrix

    left, top, width, height = surroundings([sighting.matrix for sighting in seen.sightings], picture)
    scale = PREVIEW_SIDE / max(width, height)
    size = tuple(max(1, round(side * scale)) for side in (height, width))
    part = picture.region(top, left, height, width)
    for sighting in seen.sightings:
        matrix = compose(sighting.matrix, shift_matrix(left, top))
        weight = 0.4 * paste_weights(matrix[None], [sighting.opacity], (height, width))
        part = part * (1 - weight) + weight * part.new_tensor([0.3, 1.0, 0.5]).view(3, 1, 1)
    shown = torch.zeros(3, PREVIEW_SIDE, PREVIEW_SIDE)
    y, x = ((PREVIEW_SIDE - side) // 2 for side in size)
    shown[:, y : y + size[0], x : x + size[1]] = resize(part[None], size)[0].clamp(0, 1)
    return shown.permute(1, 2, 0)


def surroundings(matrices, picture) -> tuple[int, int, int, int]:
    """Left, top, width and height of a square around the faces that `matrices` [2, 3] map to crops, cut to the picture;
    of all of it where there are none.
    """
    import torch

    from ..lipforcing.faces.align import CROP_SIZE
    from ..lipforcing.faces.warp import invert, transform

    if not matrices:
        return 0, 0, picture.width, picture.height
    height, width = CROP_SIZE
    corners = torch.tensor([[0.0, 0.0], [width, 0.0], [0.0, height], [width, height]]) - 0.5
    points = transform(invert(torch.stack(matrices)), corners).flatten(0, 1)
    low, high = points.amin(0), points.amax(0)
    side = AROUND * float((high - low).max())
    edges = []
    for middle, whole in zip(((low + high) / 2).tolist(), (picture.width, picture.height)):
        length = min(whole, max(1, round(side)))
        edges.append((min(max(0, round(middle - length / 2)), whole - length), length))
    (left, wide), (top, high) = edges
    return left, top, wide, high


class LipForcingComposite(io.ComfyNode):
    """IMAGE (faces) + LIPFORCING_TRACK -> VIDEO: the mouths pasted into the untouched source frames."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LipForcingComposite",
            display_name="Lip Forcing Composite",
            category="lip forcing",
            description=(
                "Pastes generated faces back into the source: colours matched, edges feathered, every pixel outside "
                "the mouth region as it was. Gives a video; turn frames on to get images and masks as well."
            ),
            search_aliases=["paste back", "uncrop", "face restore"],
            inputs=[
                io.Image.Input(
                    "faces",
                    tooltip=(
                        "Generated faces, one per tick of the model's clock: from the causal sampler, or the teacher's "
                        "decoded latent."
                    ),
                ),
                sockets.Track.Input("track", tooltip="The track that these faces were generated for."),
                io.Audio.Input("audio", optional=True, tooltip="Sound track of the video, cut to its length."),
                io.Boolean.Input(
                    "frames",
                    default=False,
                    optional=True,
                    tooltip=(
                        "Also give all frames as images and masks. They need 16 bytes per pixel: 33 MB per 1080p frame."
                    ),
                ),
                sockets.Audio.Input(
                    "audio_features",
                    optional=True,
                    tooltip="The speech, where its pauses are to show the source's own mouth (pauses: source).",
                ),
            ],
            outputs=[
                io.Video.Output("composite_video", display_name="video", tooltip="The finished video."),
                io.Image.Output("images", tooltip="The finished frames; only with frames turned on."),
                io.Mask.Output(
                    "masks",
                    tooltip="How much of each pixel is new, as soft as the blend, 0 to 1; only with frames turned on.",
                ),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def fingerprint_inputs(cls, **values) -> int:
        return RESULTS.token(cls.hidden.unique_id, values)

    @classmethod
    def execute(
        cls, faces, track: TrackedVideo, audio=None, frames: bool = False, audio_features=None
    ) -> io.NodeOutput:
        import torch

        from ..lipforcing.errors import InputError
        from ..lipforcing.media import VideoWriter
        from ..lipforcing.stream.stages import paste_faces, pasted_weights

        height, width = faces.shape[1:3]
        if height != width:
            raise InputError(
                f"The faces input holds pictures of {width} x {height}, which are no face crops; connect the faces of "
                "the causal sampler, or the teacher's decoded latent. The source frames come with the track."
            )
        progress = StepProgress(len(track.track))
        sound = audio_of(audio) if audio is not None else None
        result = RESULTS.new(cls.hidden.unique_id, "composite")
        images, masks, used = [], [], 0
        with (
            open_reader(track.source, track.fps) as reader,
            track.frames() as source,
            torch.inference_mode(),
            VideoWriter.like(result, reader.info, audio=sound, pad_audio=sound is not None) as writer,
        ):
            for chunk in track.chunks(source, audio_features):
                for lane in chunk.lanes:
                    ticks = shown(chunk, lane)
                    made = faces[used : used + ticks.stop - ticks.start]
                    if len(made) < ticks.stop - ticks.start:
                        raise InputError(
                            f"There are {len(faces)} faces, the track is longer; generate faces for this very track."
                        )
                    used += len(made)
                    crops = made.to(host.compute_device()).permute(0, 3, 1, 2) * 2 - 1
                    lane.faces = torch.cat((crops[:1].expand(ticks.start, -1, -1, -1), crops))
                paste_faces(chunk, host.check_cancelled)
                for output in chunk.outputs:
                    writer.write(output.picture, output.frame.time)
                    if frames:
                        images.append(output.picture.region(0, 0, reader.info.height, reader.info.width))
                        masks.append(pasted_weights(output))
                    progress.step()
        video = host.video_from_file(str(result))
        if not frames:
            nothing = host.blocked("Turn frames on in Lip Forcing Composite to get images and masks.")
            return io.NodeOutput(video, nothing, nothing)
        return io.NodeOutput(video, torch.stack(images).movedim(1, -1), torch.stack(masks))
