"""Whether head and fine-tuning come to an end is said before they start: with few images an epoch is a step."""

from dataclasses import replace
from typing import Any

import pytest

from bissl_ray.config import load_search_space
from bissl_ray.config.requests import SweepRequest
from bissl_ray.preflight.data import DataFacts
from bissl_ray.preflight.steps import notes_on_steps
from tests.search.small_space import space

FACTS = DataFacts("f", 10, {"train": 30}, "l", "p", "s", "drawn", None)
SIXTY = {"head_epochs": 60, "finetune_epochs": 60}


def said(train: int, workers: int = 1, **fixed: Any) -> tuple[str, ...]:
    settings = {"upper_batch": 32, "finetune_batch": 32, "head_epochs": 20, "finetune_epochs": 20, **fixed}
    request = SweepRequest(name="s", dataset="digits", space=space(fixed=settings), workers_per_trial=workers)
    return notes_on_steps(request, replace(FACTS, sizes={"train": train}))


def test_few_steps_are_counted() -> None:
    assert said(30) == (
        "30 training images leave the head 20 steps and fine-tuning 20 steps, few enough to hold BiSSL and its "
        "controls back: raise head_epochs and finetune_epochs",
    )
    (line,) = said(30, finetune_epochs=1, head_epochs=60)
    assert "leave fine-tuning 1 step, " in line and line.endswith("raise finetune_epochs")


@pytest.mark.parametrize("fixed", [SIXTY, {**SIXTY, "head_epochs": 0}, {"upper_batch": 8, "finetune_batch": 8}])
def test_enough_is_not_talked_of(fixed: dict[str, Any]) -> None:
    assert said(30, **fixed) == ()


def test_the_workers_share_a_batch() -> None:
    assert said(100) == () and said(100, workers=4) == ()


def test_what_ships_for_the_digits_is_enough() -> None:
    request = SweepRequest(name="s", dataset="digits", space=load_search_space("digits"))
    assert notes_on_steps(request, replace(FACTS, sizes={"train": 100})) == ()
