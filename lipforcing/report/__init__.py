"""The report of a run: what was done, how good it is, where the time went, and what it was made with."""

from .manifest import Hashes, manifest
from .run import RunReport, check_report
from .snapshots import Snapshots

__all__ = ["Hashes", "RunReport", "Snapshots", "check_report", "manifest"]
