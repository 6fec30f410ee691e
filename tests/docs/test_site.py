"""The site of the pages is built without a link that leads nowhere, where what builds it is installed (`make docs`)."""

import subprocess

import pytest

from tests.docs.study import ROOT

MKDOCS = ROOT / ".venv-docs" / "bin" / "mkdocs"


@pytest.mark.skipif(not MKDOCS.exists(), reason="the site's own environment is not there: make docs")
def test_it_builds_strictly(tmp_path):
    done = subprocess.run(
        [MKDOCS, "build", "--strict", "--quiet", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bissl-ray sweep" in (tmp_path / "site" / "index.html").read_text()
    assert (tmp_path / "site" / "recipes" / "index.html").exists()


def test_every_page_is_in_its_table():
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    table = (ROOT / "mkdocs.yml").read_text()
    assert not [page for page in pages if f": {page}\n" not in table]
