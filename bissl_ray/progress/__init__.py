"""What a run says of itself: typed events, and the sender that carries them. Imports the standard library alone."""

from bissl_ray.progress.events import (
    Alive,
    Decoding,
    Event,
    Note,
    Quiet,
    Report,
    StageEnded,
    Step,
    SweepProgress,
    TrialEnded,
    View,
)
from bissl_ray.progress.sender import LocalSender, Sender, Silent, TrialPausedError, TrialStoppedError

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
    "StageEnded",
    "Step",
    "SweepProgress",
    "TrialEnded",
    "TrialPausedError",
    "TrialStoppedError",
    "View",
]
