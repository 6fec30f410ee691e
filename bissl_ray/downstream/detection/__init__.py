"""Object detection: boxes with classes, and the figures that detectors are judged by."""

from bissl_ray.downstream.detection.found import Found, Truth
from bissl_ray.downstream.detection.tally import ClassFigures, DetectionTally

__all__ = ["ClassFigures", "DetectionTally", "Found", "Truth"]
