"""The colours of one view, by compiled kernels."""

from torch import Tensor

from bissl_ray.data.augment import kernels
from bissl_ray.data.augment.draws import Colours
from bissl_ray.data.augment.taps import blur_taps


def coloured(view: Tensor, colours: Colours, blur_width: int) -> Tensor:
    """Carry out what was drawn for a view.

    Args:
        view: uint8 (3, S, S), contiguous; it is changed.
        colours: what was drawn.
        blur_width: pixels of the blur's kernel.

    Returns:
        The view.
    """
    image = view.numpy()
    pixels = image.reshape(3, -1)
    brightness, contrast, saturation, hue = colours.factors
    for operation in colours.order:
        if operation == 0:
            kernels.brighten(pixels, brightness)
        elif operation == 1:
            kernels.contrast(pixels, contrast, 1.0 - contrast)
        elif operation == 2:
            kernels.saturate(pixels, saturation, 1.0 - saturation)
        else:
            kernels.turn_hue(pixels, hue)
    if colours.grey:
        kernels.to_grey(pixels)
    if colours.sigma:
        kernels.blur(image, blur_taps(blur_width, colours.sigma).numpy())
    if colours.solarised:
        kernels.solarise(pixels)
    return view
