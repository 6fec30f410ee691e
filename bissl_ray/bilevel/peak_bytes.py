"""How many bytes of tensors are alive at once."""

import weakref
from collections.abc import Callable
from typing import Any, Self

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class PeakBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the storages of all tensors that operations return inside, until they are freed.

    with PeakBytes() as peak:
        ...
    peak.bytes

    It sees what autograd keeps and what backward makes, on any device and for fake tensors too. Tensors from before
    are not counted, nor is what an operation needs while it runs (workspaces, reordered copies), nor what an
    allocator rounds up or keeps. On CUDA, torch.cuda.max_memory_allocated counts the latter as well.

    Attributes:
        live: bytes that are alive now.
        bytes: the most that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.bytes = 0
        self._counted: set[int] = set()

    def __enter__(self) -> Self:
        """Count from now on."""
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count the storages that it made."""
        result = func(*args, **(kwargs or {}))
        returns = func._schema.returns
        for declared, value in zip(returns, (result,) if len(returns) == 1 else result or (), strict=True):
            # A return that is declared an alias (a view, an in-place result) has an argument's storage.
            if declared.alias_info is None:
                for leaf in tree_leaves(value):
                    if isinstance(leaf, Tensor):
                        self._count(leaf)
        return result

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if key in self._counted:
            return
        self._counted.add(key)
        self.live += size
        self.bytes = max(self.bytes, self.live)
        # torch keeps a storage's Python object as long as the storage itself.
        weakref.finalize(storage, self._forgetter(key, size)).atexit = False

    def _forgetter(self, key: int, size: int) -> Callable[[], None]:
        def forget() -> None:
            self._counted.discard(key)
            self.live -= size

        return forget
