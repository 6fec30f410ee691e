"""Measurements, as ratios within one run. Imported by `bissl-ray bench` only."""
