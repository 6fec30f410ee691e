"""The live view of a sweep: what it shows, where each part stands, the screen and the keys."""

from bissl_ray.leaderboard.live.board import LiveBoard

__all__ = ["LiveBoard"]
