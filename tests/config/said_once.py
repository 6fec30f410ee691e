"""A home, a project and a folder in it, with nothing said anywhere: for tests of what is said once."""

import os
from pathlib import Path

import pytest


def nothing_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make `root` the home, and root/project/sub the current folder; gives root/project."""
    for name in [name for name in os.environ if name.startswith("BISSL_RAY_")]:
        if name != "BISSL_RAY_CACHE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(root))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    project = root / "project"
    (project / "sub").mkdir(parents=True)
    monkeypatch.chdir(project / "sub")
    return project


def users_own(root: Path, text: str) -> Path:
    """Write the user's own file."""
    path = root / ".config" / "bissl-ray" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
