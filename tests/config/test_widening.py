"""How far a searched range whose best value lies at its edge can be widened."""

import math

import pytest

from bissl_ray.config.parameters import CategoricalParameter, FloatParameter, IntParameter
from bissl_ray.config.setting_rules import check_parameter, parameter_types
from bissl_ray.config.settings import Settings
from bissl_ray.config.widening import Bound, bounds, edge_of, widened


def real(low, high, log=False):
    return FloatParameter(type="float", low=low, high=high, log=log)


def whole(low, high, step=1, log=False):
    return IntParameter(type="int", low=low, high=high, step=step, log=log)


@pytest.mark.parametrize(
    ("parameter", "value", "end"),
    [
        (real(0.0, 1.0), 0.05, "low"),
        (real(0.0, 1.0), 0.0501, None),
        (real(0.0, 1.0), 0.96, "high"),
        # On its own scale: of two decades 5 % is a tenth of one, 10^0.1 = 1.259.
        (real(0.01, 1.0, log=True), 0.0125, "low"),
        (real(0.01, 1.0, log=True), 0.0127, None),
        (real(0.01, 1.0, log=True), 0.8, "high"),
        (real(0.01, 1.0), 0.8, None),
        (whole(0, 10), 0, "low"),
        (whole(0, 10), 1, None),
        (whole(0, 10), 10, "high"),
        (whole(1, 64, log=True), 1, "low"),
        (whole(1, 2), 2, None),
        # What the search could not propose, such as what a known-good point sets elsewhere, or null.
        (real(0.1, 1.0), 2.0, None),
        (real(0.1, 1.0), None, None),
        (CategoricalParameter(type="categorical", choices=[16, 32]), 16, None),
    ],
)
def test_the_edge_is_the_outer_twentieth_on_the_scale_that_is_searched(parameter, value, end):
    assert edge_of(parameter, value) == end


@pytest.mark.parametrize(
    ("name", "parameter", "end", "expected"),
    [
        ("finetune_lr", real(0.015, 0.15, log=True), "low", (0.0015, 0.15)),
        ("finetune_lr", real(0.015, 0.15, log=True), "high", (0.015, 1.5)),
        ("lower_lr", real(0.1, 4.8, log=True), "low", (0.01, 4.8)),
        # Less than a decade: by its own width.
        ("lower_lr", real(0.5, 1.0, log=True), "high", (0.5, 2.0)),
        ("direct_weight", real(0.5, 1.0), "high", (0.5, 1.5)),
        ("direct_weight", real(0.5, 1.0), "low", (0.0, 1.0)),
        # The end of the range is that of the setting.
        ("direct_weight", real(0.0, 1.0), "low", None),
        ("cg_iterations", whole(0, 10), "low", None),
        ("cg_iterations", whole(0, 10), "high", (0, 20)),
        ("cg_iterations", whole(2, 10), "low", (0, 10)),
        ("cg_iterations", whole(5, 11, step=3), "low", (2, 11)),
        ("cg_iterations", whole(0, 1000), "high", None),
        ("alternations", whole(1, 8, log=True), "low", None),
        ("alternations", whole(4, 16, log=True), "high", (4, 64)),
        ("finetune_momentum", real(0.0, 0.9), "low", None),
        # What it can't take itself is approached by half.
        ("finetune_momentum", real(0.5, 0.9), "high", (0.5, 0.95)),
        ("temperature", real(0.1, 1.0), "low", (0.05, 1.0)),
        ("finetune_layer_decay", real(0.4, 1.0), "high", None),
        ("finetune_layer_decay", real(0.4, 1.0), "low", (0.2, 1.0)),
        ("damping", real(1.0, 1e6, log=True), "high", None),
    ],
)
def test_it_is_widened_as_far_as_the_setting_goes(name, parameter, end, expected):
    found = widened(name, parameter, end)
    assert found == (None if expected is None else pytest.approx(expected))
    if found is not None:
        # What is proposed can be written into a space.
        check_parameter(name, type(parameter)(**{**parameter.model_dump(), "low": found[0], "high": found[1]}), (name,))


def test_bounds_are_the_settings_own():
    assert bounds("finetune_layer_decay") == (Bound(0.0, False), Bound(1.0, True))
    assert bounds("finetune_momentum") == (Bound(0.0, True), Bound(1.0, False))
    assert bounds("finetune_l2_sp") == (Bound(0.0, True), Bound(math.inf, False))
    for name, kind in parameter_types().items():
        if kind in (int, float):
            low, high = bounds(name)
            assert low.value > -math.inf, name
            default = Settings.model_fields[name].default
            assert default is None or low.value <= default <= high.value
