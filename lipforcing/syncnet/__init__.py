"""SyncNet and what it measures: Sync-C, Sync-D and the audio-video offset."""

from .model import SyncNet, SyncNetConfig
from .report import SyncFigures, SyncReport, Verdict
from .score import Scorer, score

__all__ = ["Scorer", "SyncFigures", "SyncNet", "SyncNetConfig", "SyncReport", "Verdict", "score"]
