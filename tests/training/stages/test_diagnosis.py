"""Which alternations end a trial, what the reason says, and real trials that suffer from it."""

from dataclasses import replace

import pytest

from bissl_ray.bilevel import AlternationReport
from bissl_ray.progress import TrialStoppedError
from bissl_ray.training.evaluation.embeddings import EmbeddingStatistics
from bissl_ray.training.stages.diagnosis import Diagnosis, TrialDiagnosedError
from tests.training.small_trial import Reports, changed, order, renamed, run, save_always, settings, write_start

HEALTHY = AlternationReport(
    alternation=1,
    lower_loss=2.0,
    upper_loss=1.0,
    direct_loss=1.0,
    hvps=10,
    cg_residual=0.3,
    cg_residual_max=0.5,
    ritz_min=1.0,
    ritz_max=20.0,
    damping_used=10.0,
    negative_curvature=0,
    hypergradient_cosine=0.9,
    implicit_ratio=0.8,
    implicit_change=0.2,
    upper_backbone_share=0.5,
    distance=1.0,
    lower_grad_norm=1.0,
    upper_grad_norm=1.0,
    lower_lr=0.1,
    upper_lr=0.1,
    stopped_because="iterations",
)
SPREAD = EmbeddingStatistics(0.9, 20.0)


def looks(diagnosis, *alternations, embeddings=SPREAD):
    """What is said of alternations that differ from a healthy one by these changes."""
    return [diagnosis.look(replace(HEALTHY, **changes), embeddings) for changes in alternations]


def losses(*values):
    return [{"lower_loss": value} for value in values]


def residuals(*values):
    return [{"cg_residual": value} for value in values]


def test_a_loss_above_its_factor_ends_the_trial_and_one_at_it_does_not():
    *before, reason = looks(Diagnosis(settings()), *losses(2.0, 6.0, 0.1, 6.1))
    assert before == [None] * 3
    assert "its loss is 6.1, 3.0 times the 2 of the first alternation (above divergence_factor 3)" in reason
    assert "lower_lr (now 0.1)" in reason and "\n" not in reason
    assert looks(Diagnosis(settings(divergence_factor=None)), *losses(2.0, 1e9)) == [None, None]


def test_a_loss_that_may_be_negative_has_no_factor():
    assert looks(Diagnosis(settings()), *losses(-0.5, -0.1, 0.9)) == [None] * 3
    assert looks(Diagnosis(settings()), *losses(0.0, 0.9)) == [None] * 2


def test_only_residuals_of_one_or_more_in_a_row_count():
    fine = Diagnosis(settings(unsolved_alternations=3))
    assert looks(fine, *residuals(1.0, 5.0, 0.99, 2.0, None, 2.0, 2.0)) == [None] * 7
    (reason,) = looks(fine, {"cg_residual": 1.25, "negative_curvature": 8})
    assert "3 alternations in a row" in reason
    assert "(the last 1.25, 8 directions of negative curvature)" in reason
    assert "more damping (now 10) or solver minres or curvature gauss_newton" in reason
    never = Diagnosis(settings(unsolved_alternations=None))
    assert looks(never, *residuals(*[9.0] * 50)) == [None] * 50


def test_advice_names_nothing_that_is_set_already():
    once = settings(unsolved_alternations=1, solver="minres", curvature="gauss_newton", damping=0.5)
    (reason,) = looks(Diagnosis(once), *residuals(1.0))
    assert reason.endswith("try more damping (now 0.5)")


@pytest.mark.parametrize(
    ("std", "rank", "changes", "words"),
    [
        (0.02, 1.5, {}, None),
        (0.0199, 30.0, {}, "collapsed to one point: they deviate by 0.02 of what"),
        (0.5, 1.49, {}, "collapsed to a line: their effective rank is 1.49"),
        (0.01, 1.0, {"collapse_std": None}, "collapsed to a line"),
        (0.01, 1.0, {"collapse_std": None, "collapse_rank": None}, None),
        (0.0, 1.0, {"pretext": "byol"}, "or a target_momentum nearer to 1 (now 0.9995)"),
        (0.0, 1.0, {"pretext": "vicreg"}, "or a larger vicreg_variance (now 25)"),
        (0.5, 1.0, {"pretext": "barlow_twins"}, "or a larger barlow_redundancy (now 0.0051)"),
        (0.0, 1.0, {"pretext": "simsiam"}, "or a larger proximity_weight"),
    ],
)
def test_embeddings_that_are_one_point_or_one_line(std, rank, changes, words):
    (reason,) = looks(Diagnosis(settings(**changes)), {}, embeddings=EmbeddingStatistics(std, rank))
    assert reason is None if words is None else words in reason


def test_an_interrupted_diagnosis_goes_on():
    before, after = Diagnosis(settings(unsolved_alternations=2)), Diagnosis(settings(unsolved_alternations=2))
    looks(before, {"lower_loss": 1.0, "cg_residual": 2.0})
    after.load_state_dict(before.state_dict())
    for diagnosis in (before, after):
        assert "2 alternations in a row" in looks(diagnosis, *residuals(2.0))[0]
        assert "times the 1 of the first" in looks(diagnosis, *losses(4.0))[0]


NEVER = {"divergence_factor": None, "unsolved_alternations": None, "collapse_std": None, "collapse_rank": None}
WILD = {"lower_lr": 1000, "temperature": 0.1, "lower_steps": 4}
SUFFERING = {
    "collapses to a line": ({**WILD, "collapse_rank": 1.5}, "collapsed to a line"),
    "collapses to a point": ({**WILD, "collapse_std": 0.1}, "collapsed to one point"),
    "diverges": (
        {"pretext": "byol", "lower_optimizer": "sgd", "lower_lr": 100, "clip_norm": None, "divergence_factor": 1.2},
        "lower level diverges",
    ),
    # Three products of conjugate gradients for a spectrum that spans zero.
    "never solves": ({"damping": 0, "unsolved_alternations": 3, "direct_weight": 0}, "3 alternations in a row"),
}


@pytest.fixture(scope="module")
def suffering(tmp_path_factory):
    """An order of the trial that suffers so, with the models that it starts from."""

    def make(name):
        storage = tmp_path_factory.mktemp("storage")
        changes = {"alternations": 6, **NEVER, **SUFFERING[name][0]}
        write_start(storage, **changes)
        return order(storage, ("head", "bissl"), **changes)

    return make


@pytest.mark.slow
@pytest.mark.parametrize("name", SUFFERING)
def test_a_real_trial_that(suffering, name):
    what, rows = suffering(name), Reports()
    with pytest.raises(TrialDiagnosedError, match=SUFFERING[name][1]):
        run(what, reports=rows)
    # Its last report is there, and so is what it has come to.
    assert 1 < len(rows) < 6 and rows[-1]["alternation"] == len(rows)
    last = rows[-1]["so_far"]
    assert last["negative_curvature"] == sum(row["negative_curvature"] for row in rows)
    assert last["implicit_change"] == max(row["implicit_change"] for row in rows)
    assert (last["embedding_std"], last["embedding_rank"]) == (rows[-1]["embedding_std"], rows[-1]["embedding_rank"])


@pytest.mark.slow
def test_an_interrupted_trial_ends_where_it_would_have(suffering, monkeypatch):
    save_always(monkeypatch)
    what = suffering("never solves")
    whole, rest = Reports(), Reports()
    with pytest.raises(TrialDiagnosedError) as expected:
        run(what, reports=whole)
    with pytest.raises(TrialStoppedError):
        run(renamed(what, "again"), reports=Reports(stop_at=2))
    with pytest.raises(TrialDiagnosedError) as found:
        run(renamed(what, "again"), reports=rest)
    assert str(found.value) == str(expected.value)
    assert [row["alternation"] for row in whole] == [1, 2, 3] and [row["alternation"] for row in rest] == [2, 3]


def test_a_trial_that_may_suffer_goes_to_its_end(suffering):
    what = suffering("never solves")
    assert (
        run(changed(what, settings=what.settings.model_copy(update={**NEVER, "alternations": 4})))["alternations"] == 4
    )
