"""Who works in a folder, as seen by who never waits."""

from types import SimpleNamespace

from bissl_ray.store import holder
from bissl_ray.store.holder import Holder
from bissl_ray.store.lock import LEASE_S, Claim, locked
from bissl_ray.world import world


def test_a_process_of_this_machine_works_while_it_lives(tmp_path):
    looks = Holder(str(tmp_path), "sweeps/night")
    assert looks.look() is None
    with locked(str(tmp_path), "sweeps/night", "the sweep"):
        path, claim = looks.look()
        assert claim.holding and path.startswith(f"{tmp_path}/sweeps/night/lock-")
    assert looks.look() is None
    gone = Claim(**{**world().process()._asdict(), "pid": 2**22 + 1, "renewed_at": 0.0})
    (tmp_path / "sweeps/night/lock-abc.json").write_text(gone.model_dump_json())
    assert looks.look() is None


def test_one_of_another_works_while_its_claim_is_renewed(tmp_path, monkeypatch):
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(holder, "world", lambda: SimpleNamespace(monotonic=lambda: clock.now))
    claim = Claim(host="elsewhere", where="elsewhere", pid=1, beat=5, renewed_at=0.0)
    file = tmp_path / "sweeps/night/lock-abc.json"
    file.parent.mkdir(parents=True)
    looks = Holder(str(tmp_path), "sweeps/night")
    for seconds, beat, works in ((0, 5, True), (LEASE_S, 5, True), (LEASE_S, 6, True), (LEASE_S + 1, 6, False)):
        clock.now += seconds
        file.write_text(claim.model_copy(update={"beat": beat}).model_dump_json())
        assert (looks.look() is not None) == works
