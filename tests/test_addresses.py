"""Passwords and tokens in addresses: neither printed nor stored, whatever flag, variable or error they came by."""

import shlex
import sys
from pathlib import Path

import pytest

from bissl_ray import run_sweep
from bissl_ray.addresses import sayable, without_secrets
from bissl_ray.errors import BadInputError
from bissl_ray.store.documents import provenance
from tests.cli.command import run_here

SECRET = "hunter2Secret"
ADDRESSES = {
    f"https://user:{SECRET}@host.invalid/x.pth": "https://host.invalid/x.pth",
    f"https://{SECRET}@host.invalid/x.pth": "https://host.invalid/x.pth",
    f"https://host.invalid/x.pth#token={SECRET}": "https://host.invalid/x.pth",
    f"https://[host.invalid/x?key={SECRET}": "https://...",
    f"s3://AKIA:{SECRET}@bucket/x": "s3://bucket/x",
    f"s3://bucket/x?access_key=A{SECRET}&secret_key={SECRET}&region=eu": (
        "s3://bucket/x?access_key=...&secret_key=...&region=eu"
    ),
    f"abfs://container:{SECRET}@account/x?sas_token={SECRET}": "abfs://account/x?sas_token=...",
    f"ray://user:{SECRET}@host:1": "ray://host:1",
    f"hf://user:{SECRET}@o/n/x.pth": "hf://o/n/x.pth",
    # As a path is written that an address was taken for.
    f"/here/s3:/AKIA:{SECRET}@bucket": "/here/s3:/bucket",
    f"/here/https:/{SECRET}@host.invalid/x": "/here/https:/host.invalid/x",
    "abfs://container@account/x": "abfs://container@account/x",
    "s3://bucket/x?region=eu&endpoint_override=h:1": "s3://bucket/x?region=eu&endpoint_override=h:1",
    "a: b@c, 10:30 to 11:00@home, C:/x": "a: b@c, 10:30 to 11:00@home, C:/x",
}
WITH_A_SECRET = [address for address in ADDRESSES if SECRET in address and address.startswith(("https://user", "s3:"))]


@pytest.mark.parametrize(("address", "shown"), ADDRESSES.items())
def test_an_address_is_shown_without_its_secrets(address: str, shown: str) -> None:
    assert without_secrets(address) == shown
    assert without_secrets(f"found '{address}'; expected another") == f"found '{shown}'; expected another"


def test_what_was_hidden_stays_the_same_in_a_sentence() -> None:
    shown = without_secrets(f"https://host.invalid/x?token={SECRET}")
    assert shown.startswith("https://host.invalid/x?hidden=") and SECRET not in shown
    for sentence in ("{}", "({})", "'{}': gone", "no file at {}.", "{}, twice"):
        assert without_secrets(sentence.format(shown)) == sentence.format(shown)


def test_a_text_is_one_line_that_moves_no_cursor() -> None:
    assert sayable("a\nb\r\x1b[31m\u202ec é 鷲 \udcff") == "a\\nb\\r\\x1b[31m\\u202ec é 鷲 \udcff"
    assert sayable("hf_" + "A" * 30 + " and AKIAABCDEFGHIJKLMNOP") == "... and ..."


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str, **variables: str) -> str:
        monkeypatch.chdir(tmp_path)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        done = run_here(monkeypatch, capsys, *arguments)
        assert done.code == 2 and done.err.count("\n") == 1, done
        assert SECRET not in done.out + done.err
        assert list(tmp_path.iterdir()) == []
        return done.err

    return run


@pytest.mark.parametrize("address", WITH_A_SECRET)
@pytest.mark.parametrize(
    "arguments",
    [
        *[("sweep", "--dry-run", flag) for flag in ("--storage", "--address", "--space", "--data-dir", "--splits-dir")],
        *[("sweep", "--dry-run", flag) for flag in ("--name", "--warm-from", "--dataset", "--budget")],
        *[(verb, "--storage") for verb in ("leaderboard", "export")],
        *[("show", "t000", "--storage"), ("resume", "night", "--storage"), ("resume",), ("show",), ("launch",)],
        *[("train", "--dry-run", flag) for flag in ("--storage", "--set", "--from-trial", "--nosuch", "--seed")],
        *[("compare", "--dry-run", flag) for flag in ("--storage", "--from", "--control", "--pretrained-head")],
        *[("datasets", "--data-dir"), ("spaces",), ("datasets", "check"), ("config", "--dataset")],
    ],
    ids=" ".join,
)
def test_no_flag_repeats_them(said, arguments: tuple[str, ...], address: str) -> None:
    said(*arguments, address)


@pytest.mark.parametrize("address", WITH_A_SECRET)
@pytest.mark.parametrize("variable", ["BISSL_RAY_STORAGE", "BISSL_RAY_SPACE", "BISSL_RAY_TRIALS", "RAY_ADDRESS"])
def test_no_variable_is_repeated(said, variable: str, address: str) -> None:
    said("sweep", "--dry-run", **{variable: address})


def test_the_command_is_stored_without_them(monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bissl-ray", "sweep", *ADDRESSES, *(f"--storage={each}" for each in ADDRESSES)])
    command = provenance()["command"]
    assert command is not None and SECRET not in command
    assert shlex.split(command)[2:] == [*ADDRESSES.values(), *(f"--storage={each}" for each in ADDRESSES.values())]


@pytest.mark.parametrize("address", WITH_A_SECRET)
@pytest.mark.parametrize("keyword", ["storage", "address", "space", "data_dir", "pretrained_head"])
def test_python_is_told_none_either(tmp_path, monkeypatch, keyword: str, address: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInputError) as refused:
        run_sweep(**{"dataset": "digits", keyword: address})
    assert SECRET not in str(refused.value) and list(tmp_path.iterdir()) == []


def test_a_fault_of_our_own_tells_none(tmp_path, monkeypatch, capsys) -> None:
    def fail(*_: object) -> None:
        raise EOFError(f"s3://AKIA:{SECRET}@bucket")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("bissl_ray.leaderboard.read_board", fail)
    done = run_here(monkeypatch, capsys, "leaderboard")
    assert done.code == 1 and SECRET not in done.err
    assert "EOFError: s3://bucket" in done.err and "a fault of its own, EOFError; please report it" in done.err
