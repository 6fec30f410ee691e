"""What the task detection reads: Faster R-CNN (Ren et al. 2015) in the sizes that the BiSSL paper sets (PAPER).

Defaults are the paper's, or torchvision's where it names none.
"""

from typing import Literal

from pydantic import Field

from bissl_ray.config.settings_group import SettingsGroup


class DetectionSettings(SettingsGroup):
    """The detector, and the images that it is fed. Other tasks read none of these."""

    detector: Literal["c4", "fpn"] = Field(
        "c4",
        description="what a detector makes of the backbone: its last part works on each region (c4), or a pyramid of "
        "features is built over all parts (fpn)",
    )
    detection_side: int = Field(
        320,
        ge=16,
        le=2048,
        description="shorter side of the images that a detector scores, pixels, and the largest in training; the "
        "longer is at most 5/3 of it",
    )
    detection_side_low: int = Field(
        196, ge=16, le=2048, description="smallest shorter side that a detector is trained on; each image draws one"
    )
    detection_crop: float = Field(
        1.0, gt=0, le=1, description="smallest share of each side that a random crop keeps in training; 1: no crop"
    )
    anchor_low: int = Field(
        16, ge=2, le=1024, description="side of the smallest anchors, pixels; the next is twice that"
    )
    anchor_high: int = Field(256, ge=2, le=2048, description="largest side that anchors may have, pixels")
    anchor_batch: int = Field(256, ge=2, description="anchors of an image that the loss of the proposals is taken on")
    proposals: int = Field(
        1000, ge=1, description="regions that are proposed in an image when it is scored; in training twice as many"
    )
    region_batch: int = Field(512, ge=4, description="regions of an image that the box head is trained on")
    region_size: int = Field(7, ge=1, le=32, description="side of the features of a region (RoIAlign)")
