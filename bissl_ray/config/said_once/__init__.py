"""What a person says once instead of with every command: files of TOML and variables of the environment.

Only the command line reads them; `run_sweep` and its kin take what they are given.
"""

from bissl_ray.config.said_once.keys import KEYS, Key
from bissl_ray.config.said_once.layers import Layer, Said, SaidOnce
from bissl_ray.config.said_once.places import USERS_FILE, read_all

__all__ = ["KEYS", "USERS_FILE", "Key", "Layer", "Said", "SaidOnce", "read_all"]
