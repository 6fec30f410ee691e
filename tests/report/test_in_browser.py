"""Reports in a real Chromium: every figure is drawn, nothing is complained of or fetched, nothing sticks out."""

import shutil
from itertools import product

import pytest

from bissl_ray.report import make_report, read_subject, write_report
from tests.cli.command import run_here
from tests.report.stored import write_sweep

if shutil.which("chromium") is None and shutil.which("google-chrome") is None:
    pytest.skip("needs Chromium: apt-get install chromium", allow_module_level=True)
pytest.importorskip("choreographer", reason="needs kaleido: pip install 'bissl-ray[report]'")

from tests.report.browser import look

pytestmark = pytest.mark.slow

ASK = """({
  wide: document.documentElement.scrollWidth - innerWidth,
  drawn: [...document.querySelectorAll('.plot')].filter(box => box.querySelector('.main-svg')).length,
  places: document.querySelectorAll('.plot').length,
  paper: getComputedStyle(document.body).backgroundColor,
  ink: getComputedStyle(document.querySelector('.plot .xtitle')).fill,
})"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    write_sweep(folder, 30, reason="</script><script>fetch('https://example.org')</script>")
    out = folder / "report.html"
    write_report(make_report([read_subject(str(folder), "night")], str(folder), str(out)), out)
    return out


def test_it_is_drawn_at_every_width_in_both_schemes(page) -> None:
    colours = {"light": ("rgb(255, 255, 255)", "rgb(27, 31, 36)"), "dark": ("rgb(20, 23, 26)", "rgb(230, 233, 236)")}
    views = list(product((390, 900, 1400), colours))
    for (width, scheme), seen in zip(views, look(page, views, ASK), strict=True):
        assert seen.complaints == [] and seen.requests == [], (width, scheme)
        assert seen.facts["drawn"] == seen.facts["places"] > 10, (width, scheme)
        assert seen.facts["wide"] <= 0, f"the page itself scrolls sideways at {width}"
        assert (seen.facts["paper"], seen.facts["ink"]) == colours[scheme], (width, scheme)


def test_what_it_would_fetch_is_seen_and_refused(tmp_path) -> None:
    """That the test above can fail: a page that reaches out is found out, and the browser keeps it from it."""
    write_sweep(tmp_path, 1, confirmed=False)
    out = tmp_path / "report.html"
    report = make_report([read_subject(str(tmp_path), "night")], str(tmp_path), str(out))
    out.write_text(report.html.replace("</main>", '<img src="http://127.0.0.1:9/x.png"></main>'))
    (seen,) = look(out)
    assert any("Content Security Policy" in line for line in seen.complaints)


def test_folded_sweeps_are_drawn_when_they_are_opened(tmp_path) -> None:
    for name in ("one", "two"):
        write_sweep(tmp_path, 6, name)
    out = tmp_path / "report.html"
    subjects = [read_subject(str(tmp_path), name) for name in ("one", "two")]
    write_report(make_report(subjects, str(tmp_path), str(out)), out)
    opened = """new Promise(done => {
      const first = document.querySelector('details.sweep');
      first.open = true;
      const count = name => first.querySelectorAll(name).length;
      setTimeout(() => done([count('.plot') > 5, count('.plot .main-svg') > 5]), 3000);
    })"""
    (seen,) = look(out, ask=opened)
    assert seen.complaints == [] and seen.facts == [True, True]


def test_on_paper_all_is_shown(page) -> None:
    (seen,) = look(page, [(900, "dark")], paper=True)
    assert seen.complaints == [] and seen.paper.startswith(b"%PDF-") and len(seen.paper) > 100_000


def test_main_figures_are_written_as_png(page, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, "report", "night", "--storage", page.parent, "--png", "pictures")
    assert done.code == 0, done.err
    files = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert "night-history.png" in files and "night-importances.png" in files
    assert all((tmp_path / "pictures" / name).read_bytes().startswith(b"\x89PNG") for name in files)
