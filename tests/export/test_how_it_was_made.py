"""The card's words on how a model was made, where it is a control's."""

from typing import Any

import pytest

from bissl_ray.export.card import _how

TUNED = "fine-tuned on the dataset "


@pytest.mark.parametrize(
    ("row", "model", "settings", "expected"),
    [
        ({"phase": "confirm"}, "finetuned", {}, TUNED + "after BiSSL"),
        (
            {"phase": "confirm", "control": None},
            "finetuned",
            {"method": "bissl"},
            TUNED + "after BiSSL",
        ),
        (
            {"phase": "control", "control": "plain"},
            "finetuned",
            {},
            TUNED + "without BiSSL: the control",
        ),
        ({"phase": "confirm", "control": "joint"}, "finetuned", {}, "by joint training (a control of BiSSL: "),
        ({"phase": None}, "aligned", {"method": "continued"}, "by more pretraining (a control of BiSSL: "),
        ({"phase": "control", "control": "scratch"}, "finetuned", {}, "by training from scratch (a control of BiSSL: "),
        ({"phase": None}, "pretrained", {"method": "joint"}, "pretrained without labels"),
    ],
)
def test_a_control_is_called_what_it_is(
    row: dict[str, Any], model: str, settings: dict[str, Any], expected: str
) -> None:
    assert _how(row, model, settings).startswith(expected)
