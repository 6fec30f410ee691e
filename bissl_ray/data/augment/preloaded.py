"""Imported by the server that loader processes are forked from: compiled code is loaded once, for all of them."""

from bissl_ray.data.augment.fastest import fastest

fastest()
