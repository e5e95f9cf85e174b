"""SyncNet and what it measures: Sync-C, Sync-D and the audio-video offset."""

from .model import SyncNet, SyncNetConfig
from .score import SyncFigures, SyncReport, Verdict, score

__all__ = ["SyncFigures", "SyncNet", "SyncNetConfig", "SyncReport", "Verdict", "score"]
