"""Backward passes whose graph will be differentiated by what came from above, and by nothing else.

A Jacobian-vector product differentiates Jᵀ u by u. torch's own operations see at that moment which derivatives are
wanted; an autograd Function of ours doesn't, and would compute, and keep the tensors for, those by activations and
parameters too. So it asks here when the graph of Jᵀ u is built, and leaves activations and parameters out of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

# Of the whole process, not of a thread: on CUDA, backward runs on a thread of its own.
_active = False


@contextmanager
def differentiable_upstream_only() -> Iterator[None]:
    """Backward passes with `create_graph=True` inside can be differentiated by their upstream gradients only."""
    global _active
    before, _active = _active, True
    try:
        yield
    finally:
        _active = before


def upstream_only() -> bool:
    """Whether the backward that runs now is such a one."""
    return _active
