"""The colours of a batch of views at once, by torch's operations, on any device: the values of the compiled kernels.

Each operation is carried out on those views of the batch that drew it, so a batch takes four rounds, one per place in
the order. Which views these are is known where they are drawn: nothing waits for the device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from bissl_ray.data.augment.draws import Colours
from bissl_ray.data.augment.taps import blur_taps

_RED, _GREEN, _BLUE = (float(np.float32(weight)) for weight in (0.2989, 0.587, 0.114))


class _Chosen(NamedTuple):
    """Some views of a batch, (m), and what an operation needs for each, (m, ...)."""

    views: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True)
class Recipes:
    """What was drawn for the views of a batch, as the operations take it; it stays on the host.

    Attributes:
        rounds: one after another, an operation of `Colours.order` each, and the views that it is carried out on.
        grey: views that colour is taken out of; of no values.
        blurred: views that are blurred, each with its kernel.
        solarised: views that are; of no values.
    """

    rounds: list[tuple[int, _Chosen]]
    grey: _Chosen
    blurred: _Chosen
    solarised: _Chosen

    @classmethod
    def of(cls, drawn: Sequence[Colours], blur_width: int) -> "Recipes":
        """Sort what was drawn for each view of a batch by what is to be done."""
        rounds = []
        for place in range(4):
            for operation in range(4):
                views = [i for i, one in enumerate(drawn) if one.order and one.order[place] == operation]
                if views:
                    rounds.append((operation, _chosen(views, [drawn[i].factors[operation] for i in views])))
        sigmas = {i: one.sigma for i, one in enumerate(drawn) if one.sigma}
        return cls(
            rounds,
            _chosen([i for i, one in enumerate(drawn) if one.grey]),
            _chosen(list(sigmas), [blur_taps(blur_width, sigma).tolist() for sigma in sigmas.values()]),
            _chosen([i for i, one in enumerate(drawn) if one.solarised]),
        )


def _chosen(views: list[int], values: Sequence[float] | Sequence[list[float]] = ()) -> _Chosen:
    return _Chosen(np.array(views, np.int64), np.array(values, np.float32))


def coloured_batch(views: Tensor, recipes: Recipes) -> Tensor:
    """Carry out what was drawn for a batch.

    Args:
        views: uint8 (n, 3, S, S); they may be changed.
        recipes: what was drawn.

    Returns:
        uint8 (n, 3, S, S).
    """
    for operation, chosen in recipes.rounds:
        _change(views, chosen, _JITTER[operation])
    _change(views, recipes.grey, _grey)
    _change(views, recipes.blurred, _blurred)
    _change(views, recipes.solarised, lambda part, _: torch.where(part >= 128, part.bitwise_not(), part))
    return views


def _change(views: Tensor, chosen: _Chosen, operation: Callable[[Tensor, Tensor], Tensor]) -> None:
    if len(chosen.views):
        places = torch.from_numpy(chosen.views).to(views.device, non_blocking=True)
        values = torch.from_numpy(chosen.values).to(views.device, non_blocking=True)
        views[places] = operation(views[places], values)


def _plus(a: Tensor, b: Tensor, factor: Tensor | float) -> Tensor:
    """A + b · factor, rounded once to float32, as a fused multiply-add: in double precision the product is exact."""
    return (a.double() + b.double() * (factor.double() if isinstance(factor, Tensor) else factor)).float()


def _luma(part: Tensor) -> Tensor:
    """Brightness as torchvision weighs it, not rounded, (m, 1, S, S)."""
    r, g, b = torch.split(part.float(), 1, dim=1)
    return _plus(_plus(r * _RED, g, _GREEN), b, _BLUE)


def _blended(part: Tensor, other: Tensor, ratio: Tensor) -> Tensor:
    # As `1 − ratio` of Python's numbers: in double precision, then rounded.
    rest = (1.0 - ratio.double()).float()
    return _plus(part.float() * ratio, other, rest).clamp_(0, 255).to(torch.uint8)


def _brightened(part: Tensor, factor: Tensor) -> Tensor:
    return (part.float() * factor.view(-1, 1, 1, 1)).clamp_(max=255).to(torch.uint8)


def _contrasted(part: Tensor, factor: Tensor) -> Tensor:
    total = _luma(part).int().sum((1, 2, 3), keepdim=True)
    return _blended(part, total.float() / float(part.shape[2] * part.shape[3]), factor.view(-1, 1, 1, 1))


def _saturated(part: Tensor, factor: Tensor) -> Tensor:
    return _blended(part, _luma(part).int().float(), factor.view(-1, 1, 1, 1))


def _turned(part: Tensor, turn: Tensor) -> Tensor:
    """Hues turned: to hue, saturation and value, and back."""
    image = part.float() * float(np.float32(1 / 255))
    least, most = torch.aminmax(image, dim=1)
    flat, (r, g, _) = most == least, image.unbind(1)
    span = most - least
    s = span / torch.where(flat, 1.0, most)
    rc, gc, bc = ((most[:, None] - image) / torch.where(flat, 1.0, span)[:, None]).unbind(1)
    h = torch.where(most == r, bc - gc, torch.where(most == g, rc + 2.0 - bc, gc + 4.0 - rc))
    h = h * float(np.float32(1 / 6)) + 1.0
    h = torch.where(h >= 1.0, h - 1.0, h) + turn.view(-1, 1, 1)
    h = torch.where(h < 0.0, h + 1.0, torch.where(h >= 1.0, h - 1.0, h))
    h6 = h * 6.0
    sixth = h6.int()
    sf, pale = s * (h6 - sixth.float()), 1.0 - s
    sixth = torch.where(sixth == 6, 0, sixth)
    q, t, p = (((1.0 - sf) * most).clamp_(0, 1), ((sf + pale) * most).clamp_(0, 1), (pale * most).clamp_(0, 1))
    mixed = torch.stack([most, p, q, t], dim=1)
    picked = torch.tensor(_PICKED, device=part.device)[:, sixth].movedim(0, 1)
    return (mixed.gather(1, picked) * float(np.float32(255.999))).to(torch.uint8)


_PICKED: Final = [[0, 2, 1, 1, 3, 0], [3, 0, 0, 2, 1, 1], [1, 1, 3, 0, 0, 2]]
"""Which of value, p, q and t red, green and blue are, by the sixth of the circle that the hue lies in."""
_JITTER: Final = (_brightened, _contrasted, _saturated, _turned)


def _grey(part: Tensor, _: Tensor) -> Tensor:
    return _luma(part).to(torch.uint8).expand(-1, 3, -1, -1)


def _blurred(part: Tensor, taps: Tensor) -> Tensor:
    reach = taps.shape[1] // 2
    wide = _summed(F.pad(part.float(), (reach, reach, 0, 0), mode="reflect"), taps, dim=3)
    tall = _summed(F.pad(wide, (0, 0, reach, reach), mode="reflect"), taps, dim=2)
    return tall.round_().to(torch.uint8)


def _summed(padded: Tensor, taps: Tensor, dim: int) -> Tensor:
    length = padded.shape[dim] - taps.shape[1] + 1
    total = torch.zeros_like(padded.narrow(dim, 0, length))
    for j, tap in enumerate(taps.unbind(1)):
        total += tap.view(-1, 1, 1, 1) * padded.narrow(dim, j, length)
    return total
