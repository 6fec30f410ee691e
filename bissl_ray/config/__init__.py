"""Typed, validated models of everything a user may set."""

from bissl_ray.config.describe import to_yaml
from bissl_ray.config.load import load_search_space
from bissl_ray.config.parameters import CategoricalParameter, FloatParameter, IntParameter, SettingValue
from bissl_ray.config.protocol import Protocol
from bissl_ray.config.search_space import SearchSpace
from bissl_ray.config.settings import Settings
from bissl_ray.config.space_files import resource_dir, shipped_spaces

__all__ = [
    "CategoricalParameter",
    "FloatParameter",
    "IntParameter",
    "Protocol",
    "SearchSpace",
    "SettingValue",
    "Settings",
    "load_search_space",
    "resource_dir",
    "shipped_spaces",
    "to_yaml",
]
