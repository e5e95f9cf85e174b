"""The pack's own socket types; everything else uses the host's."""

from __future__ import annotations

from .node_api import io

Audio = io.Custom("LIPFORCING_AUDIO")  # lipforcing.audio.base.AudioFeatures
Family = io.Custom("LIPFORCING_FAMILY")  # nodes.family.Parts
Track = io.Custom("LIPFORCING_TRACK")  # nodes.tracked.TrackedVideo
Speakers = io.Custom("LIPFORCING_SPEAKERS")  # tuple of nodes.speakers.Speaker
SyncNet = io.Custom("LIPFORCING_SYNCNET")  # nodes.syncnet.LoadedSyncNet
FaceLandmarks = io.Custom("FACE_LANDMARKS")  # the host's, which its public API does not name; the next too
FaceDetectionModel = io.Custom("FACE_DETECTION_MODEL")

TINY = "tiny (built in)"  # entry of the loaders for the family that comes with the pack
