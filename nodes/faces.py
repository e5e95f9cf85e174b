"""Following the face, and putting the new mouth back."""

from __future__ import annotations

from dataclasses import replace

from . import host, inputs, sockets
from .node_api import io
from .progress import StepProgress
from .tracked import TrackedVideo, open_reader, tracker_of
from .values import audio_of

PREVIEWS = 8  # frames of the preview, evenly spread
PREVIEW_HEIGHT = 360
BATCH = 12  # frames tracked and composited at a time


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
                io.Float.Input(
                    "first_seconds",
                    default=0.0,
                    min=0.0,
                    max=36000.0,
                    step=0.04,
                    optional=True,
                    advanced=True,
                    tooltip="Only the beginning of the result, to try things out: 0 to 36000 seconds; 0 is everything.",
                ),
                *inputs.known_faces(),
            ],
            outputs=[
                sockets.Track.Output("track", display_name="track", tooltip="The followed face, for all other nodes."),
                io.Image.Output(
                    "track_preview",
                    display_name="preview",
                    tooltip="Up to 8 frames with the region that will be generated tinted.",
                ),
                io.String.Output("summary", display_name="summary", tooltip="What the result consists of, in words."),
            ],
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
    ) -> io.NodeOutput:
        from ..lipforcing.errors import InputError
        from ..lipforcing.faces.track import FaceTrack
        from ..lipforcing.media import DurationPolicy, extended_frames

        with open_reader(video, fps) as reader:
            info = reader.info
            seconds = info.duration if audio is None else audio_of(audio).seconds
            policy = DurationPolicy("video" if audio is None else length, fill)
            if first_seconds:
                whole = info.duration if policy.length == "video" else seconds
                seconds, policy = min(first_seconds, whole), replace(policy, length="audio")
            plan = policy.plan(seconds, info.frame_rate, info.duration, info.frame_count)
            tracker = tracker_of(face, face_landmarks, bboxes, face_detection_model, plan.available_frames, fill)
            progress = StepProgress(plan.frames)
            pieces, previews, done = [], _Previews(plan.frames), 0
            for batch in batched(extended_frames(reader, plan), BATCH):
                piece = tracker.update(images_of(batch))
                previews.add(done, batch, piece)
                pieces.append(piece)
                done += len(batch)
                progress.step(len(batch))
        track = FaceTrack.cat(pieces)
        if not tracker.found:
            raise InputError(
                "No face was found in the video; choose footage that shows a face at least 50 pixels wide, connect "
                "face_landmarks or bboxes, or set face to 'full' if the video is a face crop already."
            )
        untouched = int((~track.visible).sum())
        summary = plan.description + (
            f" {untouched} frames have no usable face and stay as they are." * bool(untouched)
        )
        return io.NodeOutput(TrackedVideo(video, fps, plan, track), previews.batch(), summary)


def batched(items, size: int):
    """Lists of up to `size` successive items."""
    from itertools import islice

    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch


def images_of(frames):
    """uint8 [T, H, W, 3] of frames."""
    import torch

    return torch.stack([frame.image for frame in frames])


class _Previews:
    """Small pictures of some frames with the generated region tinted.

    Args:
        frames: how many frames there will be, about.
    """

    def __init__(self, frames: int) -> None:
        self._wanted = {round(n * (frames - 1) / max(1, PREVIEWS - 1)) for n in range(PREVIEWS)}
        self._pictures = []

    def add(self, first: int, frames, track) -> None:
        """Look at successive frames, the first of which has the number `first`."""
        for i, frame in enumerate(frames):
            if first + i in self._wanted:
                self._pictures.append(_tinted(frame.image, track[i : i + 1]))

    def batch(self):
        """IMAGE [N, h, w, 3]."""
        import torch

        return torch.stack(self._pictures)


def _tinted(image, track):
    """Picture float [h, w, 3] of a frame uint8 [H, W, 3] with the generated region in light green."""
    import torch

    from ..lipforcing.faces.composite import frame_masks

    weight = frame_masks(track)[0, ..., None] * 0.4
    picture = image.float() / 255 * (1 - weight) + weight * torch.tensor([0.3, 1.0, 0.5])
    height = min(PREVIEW_HEIGHT, picture.shape[0])
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    small = torch.nn.functional.interpolate(
        picture.permute(2, 0, 1)[None], (height, width), mode="bilinear", antialias=True
    )
    return small[0].permute(1, 2, 0).clamp(0, 1)


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
                    tooltip="Generated faces at 25 per second: from the causal sampler, or the decoded teacher latent.",
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
            ],
            outputs=[
                io.Video.Output("composite_video", display_name="video", tooltip="The finished video."),
                io.Image.Output("images", tooltip="The finished frames; only with frames turned on."),
                io.Mask.Output("masks", tooltip="What was pasted, per frame, 0 to 1; only with frames turned on."),
            ],
        )

    @classmethod
    def execute(cls, faces, track: TrackedVideo, audio=None, frames: bool = False) -> io.NodeOutput:
        import torch

        from ..lipforcing.errors import InputError
        from ..lipforcing.faces.composite import frame_masks
        from ..lipforcing.faces.track import RecordedTracker
        from ..lipforcing.media import VideoWriter, clock_frames
        from ..lipforcing.pipeline import paste

        recorded, progress = RecordedTracker(track.track), StepProgress(len(track.track))
        sound = audio_of(audio) if audio is not None else None
        result = host.temp_path("composite", ".mp4")
        images, masks, shown = [], [], 0
        with (
            open_reader(track.source, track.fps) as reader,
            track.frames() as source,
            VideoWriter.like(result, reader.info, audio=sound, pad_audio=sound is not None, pictures=None) as writer,
        ):
            for groups in batched(clock_frames(source), BATCH):
                outputs = [frame for group in groups for frame in group.outputs]
                piece = recorded.update(images_of(outputs)) if outputs else track.track[:0]
                if shown + len(groups) > len(faces):
                    raise InputError(
                        f"There are {len(faces)} faces, but the track is longer; generate faces for this very track."
                    )
                made = faces[shown : shown + len(groups)].to(host.compute_device()).permute(0, 3, 1, 2) * 2 - 1
                if frames:
                    masks += frame_masks(piece)
                for frame, picture, _ in paste(groups, piece, made):
                    writer.write(picture, frame.time)
                    if frames:
                        images.append(_as_image(picture, masks[len(images)], track.source, frame))
                shown += len(groups)
                progress.step(len(outputs))
        video = host.video_from_file(result)
        if not frames:
            nothing = host.blocked("Turn frames on in Lip Forcing Composite to get images and masks.")
            return io.NodeOutput(video, nothing, nothing)
        return io.NodeOutput(video, torch.stack(images), torch.stack(masks))


def _as_image(picture, mask, source, frame):
    """A finished picture uint8 [H, W, 3] as an image of the batch [H, W, 3].

    Where nothing was pasted (`mask` [H, W] is 0) pixels of an IMAGE `source` stay exactly what they were, eight bits
    or not.
    """
    import torch

    image = picture.float() / 255
    if not isinstance(source, torch.Tensor):
        return image
    before = source[frame.index].to(image)
    before = before[..., :3] if before.shape[-1] >= 3 else before[..., :1].expand_as(image)
    return torch.where(mask[..., None] > 0, image, before)
