"""Where an export goes: a path or the URI of a storage, whole sweeps in which are tests/sweep/test_storages.py's."""

from pathlib import Path

import pytest

from bissl_ray.errors import BadInputError, RunFailedError
from bissl_ray.export.write import card_path, check_places, check_targets, ending, write_out
from tests.s3.stand_in import BUCKET, stand_in


@pytest.mark.parametrize(
    ("out", "end", "card"),
    [
        ("winner.pth", ".pth", "winner.md"),
        ("a.b/winner.v2.safetensors", ".safetensors", "a.b/winner.v2.md"),
        ("what?.pth", ".pth", "what?.md"),
        ("s3://bucket/a/winner.pth", ".pth", "s3://bucket/a/winner.md"),
        ("s3://bucket/winner.pth?region=eu-west-1", ".pth", "s3://bucket/winner.md?region=eu-west-1"),
        ("s3://bucket/winner?region=a.pth", "", "s3://bucket/winner.md?region=a.pth"),
    ],
)
def test_the_card_lies_beside_the_model(out: str, end: str, card: str) -> None:
    assert (ending(out), card_path(out)) == (end, card)


def test_a_secret_of_an_address_is_not_repeated() -> None:
    with pytest.raises(BadInputError) as refused:
        check_targets("s3://key:hidden@bucket/winner.txt", "pth", force=False)
    assert "hidden" not in str(refused.value) and "credentials" in str(refused.value)


def test_into_an_object_store_and_into_a_bucket_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        out = f"s3://{BUCKET}/out/winner.pth"
        check_places(out, card_path(out), force=False)
        write_out(card_path(out), b"card")
        with pytest.raises(BadInputError, match=r"winner.md is there already; give another --out"):
            check_places(out, card_path(out), force=False)
        check_places(out, card_path(out), force=True)
        with server.files().open_input_stream(f"{BUCKET}/out/winner.md") as stream:
            assert stream.read() == b"card"
        with pytest.raises(BadInputError, match=f"s3://{BUCKET}/out is there already"):
            check_places(f"s3://{BUCKET}/out", force=True)
        with pytest.raises(RunFailedError, match=r"can't be written .* nothing of it was"):
            write_out("s3://nobodys-bucket/winner.pth", b"model")


def test_into_a_folder_by_its_uri(tmp_path: Path) -> None:
    out = f"file://{tmp_path}/winner.pth"
    check_places(out, force=False)
    write_out(out, b"model")
    assert (tmp_path / "winner.pth").read_bytes() == b"model"
    with pytest.raises(RunFailedError, match="can't be written"):
        write_out(f"file://{tmp_path}/absent/winner.pth", b"model")
