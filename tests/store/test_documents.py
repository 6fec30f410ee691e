import pytest

from bissl_ray.errors import BadInputError
from bissl_ray.store import read_sweep_document, sweep_names, write_sweep_document


def test_round_trip_and_replacement(storage):
    write_sweep_document(storage, "night", {"λ": 0.001})
    write_sweep_document(storage, "night", {"λ": 0, "space": {"upper_lr": [1e-3, 0.1]}})
    write_sweep_document(storage, "day", {})
    (storage / "sweeps" / "half").mkdir()
    assert read_sweep_document(storage, "night") == {"λ": 0, "space": {"upper_lr": [1e-3, 0.1]}}
    assert sweep_names(storage) == ["day", "night"]
    assert [path.name for path in (storage / "sweeps" / "night").iterdir()] == ["sweep.json"]


def test_an_unknown_name_is_answered_with_the_nearest(storage):
    with pytest.raises(BadInputError, match="bissl-ray sweep"):
        read_sweep_document(storage, "night")
    write_sweep_document(storage, "night", {})
    with pytest.raises(BadInputError, match="did you mean 'night'"):
        read_sweep_document(storage, "nihgt")


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_document_is_named(storage, text):
    write_sweep_document(storage, "night", {})
    (storage / "sweeps" / "night" / "sweep.json").write_text(text)
    with pytest.raises(BadInputError, match=r"sweep\.json"):
        read_sweep_document(storage, "night")


def test_a_name_can_not_leave_the_storage(storage):
    with pytest.raises(BadInputError, match="sweep name"):
        write_sweep_document(storage, "../outside", {})
