"""The verb report as a command: the file, what is refused, what is replaced."""

import pytest

from tests.cli.command import run_here
from tests.report.stored import write_sweep


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    write_sweep(tmp_path / "runs", 6)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: run_here(monkeypatch, capsys, "report", *arguments)


def test_it_writes_one_file_and_says_so(run, tmp_path) -> None:
    done = run("night", "-o", "night.html")
    assert done.code == 0 and done.out.startswith("night.html: ") and done.out.endswith(" figures\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["night.html", "runs"]
    assert run("night", "-o", "night.html").code == 0, "a report is replaced unasked"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nigth"], "no sweep or comparison 'nigth' in ./runs: it holds night; did you mean 'night'?"),
        (["night", "night"], "each sweep or comparison once"),
        (["night", "-o", "notes.txt"], "expected a name that ends in .html"),
        (["night", "-o", "no/such.html"], "there is no folder no; make it"),
        (["night", "-o", "mine.html"], "is there already, and no report of bissl-ray; give another --out, or --force"),
        (["night", "--png", "mine.html"], "--png mine.html: found a file, expected a folder"),
        (["night", "--storage", "elsewhere"], "found no such folder"),
        ([], "Missing argument 'NAME...'"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(run, tmp_path, arguments, said) -> None:
    (tmp_path / "mine.html").write_text("my own page")
    done = run(*arguments)
    assert done.code == 2 and said in done.err and done.err.count("\n") == 1
    assert (tmp_path / "mine.html").read_text() == "my own page" and not (tmp_path / "report.html").exists()


def test_force_replaces_what_is_no_report(run, tmp_path) -> None:
    (tmp_path / "mine.html").write_text("my own page")
    assert run("night", "-o", "mine.html", "--force").code == 0
    assert (tmp_path / "mine.html").read_text().startswith("<!DOCTYPE html>")


def test_without_kaleido_or_a_browser_png_is_refused_before_anything_is_read(run, monkeypatch) -> None:
    from bissl_ray.report import png

    monkeypatch.setattr(png, "find_spec", lambda _name: None)
    done = run("night", "--png", "pictures")
    assert done.code == 2 and done.err.endswith(
        "--png takes kaleido, which is not installed: pip install 'bissl-ray[report]'\n"
    )


def test_without_a_browser_png_says_what_to_install(run, monkeypatch, tmp_path) -> None:
    chromium = pytest.importorskip("choreographer.browsers.chromium", reason="needs kaleido")
    monkeypatch.setattr(chromium.Chromium, "find_browser", lambda **_: None)
    done = run("night", "--png", "pictures")
    assert done.code == 2 and "found neither: apt-get install chromium" in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "report.html").exists()


def test_a_damaged_file_is_named_on_the_page_and_by_the_exit_code(run, tmp_path) -> None:
    folder = tmp_path / "runs/results/dataset=digits/sweep=night"
    (folder / "trials-00000000000000000001-1-aaaaaaaaaaaa.parquet").write_bytes(b"no parquet")
    done = run("night", "-o", "night.html")
    assert done.code == 1 and "skipped" in done.err
    assert '<div class="warning"><ul><li>warning: skipped' in (tmp_path / "night.html").read_text()
