"""The multilayer perceptron that pretext tasks put on a backbone."""

from torch import nn


def projection_head(width_in: int, hidden: int, width_out: int, hidden_bias: bool = True) -> nn.Sequential:
    """Three layers: twice Linear, batch norm, ReLU, then Linear without a bias.

    This is how the published heads of BiSSL ("256-256-256"), VICReg and, without biases, Barlow Twins are laid out
    (keys 0, 1, 3, 4 and 6).

    Args:
        width_in: width of the input features.
        hidden: width of both hidden layers.
        width_out: width of the embedding.
        hidden_bias: whether the hidden layers have biases; the batch norm after them takes any bias out again.
    """
    return nn.Sequential(
        nn.Linear(width_in, hidden, bias=hidden_bias),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, hidden, bias=hidden_bias),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, width_out, bias=False),
    )
