"""Object detection: Faster R-CNN on the backbone that the pretext trains, scored as COCO and VOC score."""
