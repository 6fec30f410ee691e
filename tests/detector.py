"""Settings of a detector so small that a step takes milliseconds, for images of about 64 pixels a side."""

SMALL_DETECTOR = {
    "detection_side": 64,
    "detection_side_low": 48,
    "anchor_low": 8,
    "anchor_high": 32,
    "anchor_batch": 16,
    "proposals": 16,
    "region_batch": 8,
    "region_size": 3,
}
