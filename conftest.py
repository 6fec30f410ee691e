"""Shared by every test: the checkout's root is importable, here and in the processes that tests start."""

import sys
from pathlib import Path

import torch

ROOT = str(Path(__file__).parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)

torch.set_num_threads(1)
