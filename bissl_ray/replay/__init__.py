"""Functions of tensors, recorded once and replayed: what a GPU runs without waiting for Python. Imports torch only."""

from bissl_ray.replay.recorder import CudaRecorder, Recorder, Recording
from bissl_ray.replay.replayed import Replayed, ReplayError
from bissl_ray.replay.replays import EAGER, Replays

__all__ = ["EAGER", "CudaRecorder", "Recorder", "Recording", "ReplayError", "Replayed", "Replays"]
