"""The multilayer perceptron that pretext tasks put on a backbone."""

from torch import nn


def projection_head(width_in: int, hidden: int, width_out: int) -> nn.Sequential:
    """Three layers: twice Linear, batch norm, ReLU, then Linear without a bias.

    This is how the published "256-256-256" heads are laid out (keys 0, 1, 3, 4 and 6).

    Args:
        width_in: width of the input features.
        hidden: width of both hidden layers.
        width_out: width of the embedding.
    """
    return nn.Sequential(
        nn.Linear(width_in, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, width_out, bias=False),
    )
