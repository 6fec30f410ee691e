"""Each test has a cache of its own, and a network that ends at this machine."""

from pathlib import Path

import pytest

from bissl_ray.preflight.sources import download


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(download, "_PAUSE_S", 0.01)
    monkeypatch.setenv("BISSL_RAY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
