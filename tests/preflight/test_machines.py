"""What the machines tell, and what becomes of it; on several real ones: tests/nodes/test_doctor.py."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from bissl_ray.config import load_search_space
from bissl_ray.preflight.machines import checks, trial
from bissl_ray.preflight.machines.ask import Answer, ThisMachine
from bissl_ray.preflight.machines.pairs import rounds
from bissl_ray.preflight.machines.storage import check_shared
from bissl_ray.preflight.machines.told import PACKAGES, told
from bissl_ray.preflight.machines.trial import largest
from bissl_ray.progress import Alive, Note
from tests.cli.command import TINY, run_here

GB = 2**30
OWN = told(("cmaes",))


def answer(machine: str = "b", at: float = 100.0, **changes: Any) -> Answer[dict[str, Any]]:
    """One that was asked at 99 s and answered at 101 s."""
    versions = {**OWN["versions"], **changes.pop("versions", {})}
    return Answer(machine, {**OWN, "time": at, "versions": versions, **changes}, None, 99.0, 101.0)


def test_a_machine_like_this_one_is_well() -> None:
    told = [answer("a"), answer("b")]
    every = [
        checks.check_answers(told),
        checks.check_versions(told, OWN),
        checks.check_code(told, OWN),
        checks.check_clocks(told, None),
    ]
    assert [check.verdict for check in every] == ["ok"] * 4
    assert "all 2 machines answer: a, b" in every[0].found and "everywhere" in every[1].found


@pytest.mark.parametrize(
    ("changes", "verdict", "found"),
    [
        ({"versions": {"ray": "2.56.1"}}, "failure", f"b has ray 2.56.1, here it is {OWN['versions']['ray']}"),
        ({"versions": {"torch": "2.11.0"}}, "warning", f"b has torch 2.11.0, here it is {OWN['versions']['torch']}"),
        ({"versions": {"optuna": None, "cmaes": None}}, "failure", "b lacks optuna, cmaes"),
        ({"python": "3.9.1"}, "failure", f"b has Python 3.9.1, here it is {OWN['python']}"),
    ],
)
def test_versions_that_differ(changes: dict[str, Any], verdict: str, found: str) -> None:
    check = checks.check_versions([answer("a"), answer("b", **changes)], OWN)
    assert (check.verdict, check.found) == (verdict, found) and check.remedy
    assert verdict == "warning" or all(f"{name}=={OWN['versions'][name]}" in check.remedy for name in PACKAGES[:-1])


def test_a_machine_that_lacks_the_package_or_has_another_checkout() -> None:
    lacking = checks.check_code([answer("a"), answer("b", package=None, code=None)], OWN)
    assert (lacking.verdict, lacking.found) == ("failure", "b lacks bissl-ray")
    other = checks.check_code([answer("a"), answer("b", code="0123", package="/old")], OWN)
    assert other.verdict == "failure" and other.found.startswith("b has other code of it (digest 0123 in /old, here ")


def test_a_machine_that_says_nothing() -> None:
    check = checks.check_answers([answer("a"), Answer("b", failure="no answer within 60 s")])
    assert (check.verdict, check.found) == ("failure", "b: no answer within 60 s")


@pytest.mark.parametrize(
    ("at", "storage", "verdict"),
    [
        (99.5, None, "ok"),  # as it was asked
        (105.9, None, "ok"),
        (106.5, None, "warning"),
        (93.5, None, "warning"),
        (402.0, "/runs", "warning"),
        (402.0, "s3://bucket/runs", "failure"),
    ],
)
def test_clocks_are_off_by_no_more_than_is_certain(at: float, storage: str | None, verdict: str) -> None:
    assert checks.check_clocks([answer(at=at)], storage).verdict == verdict


@pytest.mark.parametrize(
    ("total", "free", "verdict"), [(100, 50, "ok"), (100, 9, "warning"), (1000, 45, "failure"), (40, 1, "failure")]
)
def test_disks_that_fill(total: int, free: int, verdict: str) -> None:
    check = checks.check_disks([answer("a"), answer("b", disk={"total": total * GB, "free": free * GB})])
    assert check.verdict == verdict and (verdict == "ok" or check.found.startswith("b: "))


def test_shared_memory_of_a_container() -> None:
    small = {"total": 64 * 2**20, "free": 64 * 2**20}
    check = checks.check_shared_memory([answer("a"), answer("b", shm=small)])
    assert (check.verdict, check.found) == ("warning", "b: 64 MiB free of 64 MiB")


def test_gpus_that_ray_and_torch_count_differently_or_that_do_not_work() -> None:
    card = {"name": "H100", "memory": 80 * GB, "works": True}
    seen = [Answer("a", {"gpus": [card, card]}), Answer("b", {"gpus": [card]})]
    well = checks.check_gpus(seen, {"a": 2, "b": 1})
    assert (well.verdict, well.found) == ("ok", "3 H100 (80 GiB)")
    fewer = checks.check_gpus(seen, {"a": 2, "b": 2})
    assert (fewer.verdict, fewer.found) == ("failure", "b: Ray counts 2, torch sees 1")
    broken = checks.check_gpus([Answer("a", {"gpus": [{**card, "works": "no kernel image"}]})], {"a": 1})
    assert (broken.verdict, broken.found) == ("failure", "a: H100 does not work: no kernel image")
    unasked = checks.check_gpus([Answer("a", {"failure": "libcuda"})], {"a": 1})
    assert (unasked.verdict, unasked.found) == ("failure", "a: torch could not be asked: libcuda")


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4, 7, 8])
def test_every_pair_is_measured_once_and_nobody_is_in_two_at_a_time(number: int) -> None:
    found = list(rounds(number))
    assert sorted(tuple(sorted(pair)) for pairs in found for pair in pairs) == [*combinations(range(number), 2)]
    assert all(len({place for pair in pairs for place in pair}) == 2 * len(pairs) for pairs in found)
    assert len(found) == (number - 1 + number % 2 if number > 1 else 0)


def test_a_storage_is_written_read_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for storage in (tmp_path / "new" / "runs", tmp_path / "there"):
        check = check_shared(str(storage), ThisMachine())
        assert (check.verdict, check.found) == ("ok", f"{storage}: written and read")
    assert [*tmp_path.rglob("*")] == [tmp_path / "there"]
    (tmp_path / "file").write_text("mine")
    refused = check_shared(str(tmp_path / "file"), ThisMachine())
    assert refused.verdict == "failure" and "this machine can't write there" in refused.found and refused.remedy
    assert (tmp_path / "file").read_text() == "mine"


def test_the_largest_configuration_is_that_of_the_most_memory(tmp_path: Path) -> None:
    parameters = {
        "lower_batch": {"type": "categorical", "choices": [16, 64, 32]},
        "cg_iterations": {"type": "int", "low": 0, "high": 7},
        "lower_lr": {"type": "float", "low": 0.1, "high": 1.0, "log": True},
    }
    fixed = {name: value for name, value in TINY["fixed"].items() if name != "lower_batch"}
    file = tmp_path / "space.yaml"
    file.write_text(json.dumps({"dataset": "digits", "parameters": parameters, "fixed": fixed}))
    space = load_search_space(file)
    settings = largest(space)
    assert (settings.lower_batch, settings.cg_iterations) == (64, 7) and settings.upper_batch == 16


def test_this_machine_without_any_ray(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, "doctor", "--quick")
    assert (done.code, done.err) == (0, "") and "There is no storage ./runs yet." in done.out
    asked = ("doctor", "--quick", "--only", "machines", "--format")
    rows = json.loads(run_here(monkeypatch, capsys, *asked, "json").out)["machines"]
    names = ["machines", "versions", "bissl-ray", "disks", "/dev/shm", "storage", "data", "GPUs"]
    assert [row["name"] for row in rows] == names and not any(row["verdict"] == "failure" for row in rows)
    for form in ("csv", "md"):
        done = run_here(monkeypatch, capsys, *asked, form)
        assert done.code == 0 and not [name for name in names if name not in done.out], done
    assert not [*tmp_path.iterdir()]


def test_data_that_are_not_there(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_here(monkeypatch, capsys, "doctor", "--quick", "--dataset", "pets", "--data-dir", tmp_path)
    assert done.code == 1 and "failure  data" in done.out and "1 failure." in done.out, done
    wrong = run_here(monkeypatch, capsys, "doctor", "--quick", "--dataset", "pest")
    assert wrong.code == 2 and "pest" in wrong.err and not wrong.out, wrong


def test_who_only_waits_for_room_has_not_started(monkeypatch) -> None:
    monkeypatch.setattr(trial, "_PATIENCE_S", 0.0)
    listens = trial._Listens()
    listens.show(Alive("waits for room on the cluster for its workers"))
    assert listens.started_after is None and listens.in_vain()
    listens.show(Note("it runs"))
    assert listens.started_after is not None and not listens.in_vain()


def test_no_trial_is_started_where_it_could_not_run(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "runs").write_text("a file")
    done = run_here(monkeypatch, capsys, "doctor", "--only", "machines", "--storage", tmp_path / "runs")
    assert done.code == 1 and "failure  storage" in done.out and "a trial" not in done.out, done
