"""SyncNet and what it measures: Sync-C, Sync-D and the audio-video offset."""

from ..models.syncnet import SyncNet, SyncNetConfig
from .report import SyncFigures, SyncReport, Verdict
from .score import Scorer, score
from .video import FaceScore, VideoScore, score_pictures, score_video

__all__ = [
    "FaceScore",
    "Scorer",
    "SyncFigures",
    "SyncNet",
    "SyncNetConfig",
    "SyncReport",
    "Verdict",
    "VideoScore",
    "score",
    "score_pictures",
    "score_video",
]
