"""What a run says of itself: typed events, and the sender that carries them. Imports the standard library alone."""

from bissl_ray.progress.events import (
    Alive,
    Decoding,
    Event,
    Note,
    Quiet,
    Report,
    Spent,
    StageEnded,
    Step,
    SweepProgress,
    TrialEnded,
    View,
)
from bissl_ray.progress.sender import LocalSender, Sender, Silent, TrialPausedError, TrialStoppedError
from bissl_ray.progress.track import Track
from bissl_ray.progress.wishes import Wishes, wishes_of

__all__ = [
    "Alive",
    "Decoding",
    "Event",
    "LocalSender",
    "Note",
    "Quiet",
    "Report",
    "Sender",
    "Silent",
    "Spent",
    "StageEnded",
    "Step",
    "SweepProgress",
    "Track",
    "TrialEnded",
    "TrialPausedError",
    "TrialStoppedError",
    "View",
    "Wishes",
    "wishes_of",
]
