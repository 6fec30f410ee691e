"""Names of thousands of letters, storages that are none or tell secrets, endless nesting: one line, and code 2."""

from pathlib import Path

import pytest

from tests.cli.command import Done, one_line, run_here

LONG = "x" * 5000
PATH = "/".join(["x" * 200] * 30)


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def run(*arguments: object) -> Done:
        return run_here(monkeypatch, capsys, *arguments)

    monkeypatch.chdir(tmp_path)
    return run


def assert_refused(done: Done, *words: str) -> None:
    line = one_line(done.err.strip())
    assert done.code == 2 and len(line) < 700, done
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    "arguments",
    [
        ("leaderboard", "--storage", LONG),
        ("leaderboard", "--storage", PATH),
        ("show", "t000", "--storage", LONG),
        ("resume", "night", "--storage", LONG),
        ("export", "--storage", LONG),
        ("sweep", "--space", LONG),
        ("sweep", "--pretrained", LONG),
        ("sweep", "--splits-dir", LONG),
        ("sweep", "--storage", PATH),
        ("evaluate", "--start", LONG),
        ("datasets", "--data-dir", LONG),
    ],
    ids=lambda arguments: f"{arguments[0]}{arguments[-2]}",
)
def test_a_name_longer_than_the_file_system_takes(said, arguments) -> None:
    assert_refused(said(*arguments), "expected a shorter one", "letters)")


@pytest.mark.parametrize("flag", ["--dataset", "--name", "--address", "--warm-from", "--pretext-dataset"])
def test_a_name_of_nothing_is_not_repeated_whole(said, flag) -> None:
    assert_refused(said("sweep", flag, LONG), "... (", "letters)")


def test_a_space_that_extends_an_endless_name(said, tmp_path) -> None:
    (tmp_path / "a.yaml").write_text(f"dataset: digits\nextends: {LONG}\n")
    line = "a.yaml:2: extends: found 'xxx"
    assert_refused(said("sweep", "--space", "a.yaml"), line, "letters)", "can't be read (File name too long)")


def anchors(first: str, more: str) -> str:
    """Anchors within anchors, each ten times the one before: a few lines that unfold to billions of values."""
    lines = [f"a{n}: &a{n} {more.format(', '.join([f'*a{n - 1}'] * 10))}" for n in range(1, 12)]
    return "\n".join(["dataset: digits", f"a0: &a0 {first}", *lines])


ENDLESS = {
    "lists in lists": (anchors("[x]", "[{}]"), "found more than 100,000 values behind its anchors"),
    "mappings merged": (anchors("{x: 1}", "{{<<: [{}]}}"), "found more than 100,000 values behind its anchors"),
    "long": ("dataset: digits\n" + "# x\n" * 50_001, "found more than 200,000 bytes, expected a YAML file of a few"),
    "decimal": (f"dataset: digits\nfixed: {{alternations: {'9' * 5000}}}", "a.yaml:2: fixed.alternations: found '999"),
    "hexadecimal": (f"dataset: digits\nfixed: {{alternations: 0x{'f' * 5000}}}", "fixed.alternations: found '0xfff"),
    "exact": (
        "dataset: digits\nextends: digits\nfixed: {alternations: 10000000000000000000000}",
        "a.yaml:3: fixed.alter",
    ),
    "range": (
        "dataset: digits\nparameters: {lower_steps: {type: int, low: 1, high: 10000000000000000000000}}",
        "a.yaml:2: parameters.lower_steps.high: found 10000000000000000000000, expected one that a real number holds",
    ),
    "seeds": ("dataset: digits\nextends: digits\nprotocol: {seeds: 10000000000}", "protocol.seeds: found 10000000000"),
    "target": (
        "dataset: digits\nextends: digits\nprotocol: {target: .nan}",
        "protocol.target: found nan, expected a fin",
    ),
    "width": (
        "dataset: digits\nfixed: {projector_width: 1000000000}",
        "fixed.projector_width: found 1000000000, expec",
    ),
    "many keys": (
        "dataset: digits\nfixed:\n" + "".join(f"  k{n}: 1\n" for n in range(3000)),
        "'k0', expected the name",
    ),
}


@pytest.mark.parametrize(("text", "told"), ENDLESS.values(), ids=ENDLESS.keys())
def test_a_space_that_has_no_end(said, tmp_path, text, told) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert_refused(said("spaces", "a.yaml"), told)


def test_a_sentence_without_end_keeps_its_end(said, tmp_path) -> None:
    (tmp_path / "a.yaml").write_text(f"dataset: digits\nfixed: {{backbone: {'a b ' * 2000}}}\n")
    done = said("spaces", "a.yaml")
    assert done.code == 2 and len(one_line(done.err.strip())) < 1000
    assert done.err.startswith("bissl-ray: a.yaml:2: fixed.backbone: found 'a b a b") and "letters) ... " in done.err
    assert done.err.rstrip().endswith("or timm/NAME for a model of timm")


@pytest.mark.parametrize(
    "tag", ["!!bool q", "!!timestamp x", "!!int x", "!!python/object:os.system x", "!x y", "!!set {a}"]
)
def test_a_tag_is_refused_by_its_name(said, tmp_path, tag) -> None:
    (tmp_path / "a.yaml").write_text(f"dataset: digits\nfixed: {{image_size: {tag}}}\n")
    assert_refused(said("spaces", "a.yaml"), f"a.yaml:2: found the tag {tag.split()[0]}, expected a value without one")


@pytest.mark.parametrize("address", ["127.0.0.1:" + "9" * 5000, "127.0.0.1:99999", "h:0"])
def test_a_port_that_there_is_none_of(said, address) -> None:
    assert_refused(said("sweep", "--dry-run", "--address", address), "expected 'auto', 'local' or HOST:PORT")


def test_a_space_nested_without_end(said, tmp_path) -> None:
    (tmp_path / "a.yaml").write_text("dataset: " + "[" * 3000 + "]" * 3000)
    assert_refused(said("sweep", "--space", "a.yaml"), "a.yaml", "nested too deeply")


@pytest.mark.parametrize("storage", ["s3://", "gs://", "file:///"])
@pytest.mark.parametrize("verb", ["leaderboard", "sweep"])
def test_a_storage_without_a_path(said, verb, storage) -> None:
    assert_refused(said(verb, "--storage", storage), "no path", "s3://bucket/folder")


@pytest.mark.parametrize("verb", [("leaderboard",), ("sweep",), ("resume", "night"), ("show", "t000"), ("export",)])
@pytest.mark.parametrize("scheme", ["s3", "gs", "abfs", "foo"])
def test_credentials_in_a_storage_are_refused_and_not_repeated(said, verb, scheme) -> None:
    done = said(*verb, "--storage", f"{scheme}://AKIAKEY:SECRET@bucket/folder")
    assert_refused(done, f"{scheme}://bucket/folder", "found credentials", "AWS_SECRET_ACCESS_KEY")
    assert "SECRET" not in done.err.replace("AWS_SECRET_ACCESS_KEY", "")
    assert "SECRET@" not in done.err + done.out and "AKIAKEY" not in done.err + done.out


def test_a_container_of_an_account_is_no_credential(said) -> None:
    assert "credentials" not in said("leaderboard", "--storage", "foo://container@account/folder").err


def test_a_board_of_a_storage_or_a_sweep_that_is_not_there(said, tmp_path) -> None:
    assert_refused(said("leaderboard"), "./runs", "no such folder")
    (tmp_path / "runs").mkdir()
    empty = said("leaderboard")
    assert empty.code == 0 and "no trial in ./runs yet" in empty.err
    assert_refused(said("leaderboard", "--sweep", "night"), "no sweep 'night'")
