"""Augmentation of photographs: what is drawn for an image, and how it is carried out, by one compiled pass or batched.

Drawing takes its numbers from torch's default CPU generator as torchvision's transforms do, in their order, and what is
carried out rounds as theirs on uint8 images: the same seed gives the picture that they give.
"""
