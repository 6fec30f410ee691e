"""Pictures of what a model finds: drawn by an evaluation, copied to a person's folder, shown on a page."""

from pathlib import Path

import pytest
from PIL import Image

from bissl_ray.config.options import StageOptions
from bissl_ray.errors import BadInputError
from bissl_ray.stages.pictures import check_pictures, fetch_pictures
from bissl_ray.stages.prepare import prepare_stage
from tests.cli.command import checkpoint
from tests.stages.stage_runs import file, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictures")
    # Large batches: the detector is scored after almost every step.
    quick = ("finetune_epochs=1", "finetune_batch=120", "head_epochs=0")
    run(place, "finetune", None, *quick, dataset="digits_scenes", start=str(checkpoint(place)))
    return place


def test_they_are_drawn_copied_and_shown_with_the_figures(folder: Path) -> None:
    outcome = run(folder, "evaluate", None, start=file(folder, "finetune"), what={"ways": ("score",), "pictures": 3})
    said = fetch_pictures(outcome, folder / "seen")
    drawn = sorted((folder / "seen").glob("*.png"))
    assert [path.name for path in drawn] == [f"validation-{n:05d}.png" for n in (0, 50, 100)]
    assert "3 pictures, predictions beside the truth" in said
    with Image.open(drawn[0]) as picture:
        assert picture.width > 2 * (picture.height - 30)
    page = (folder / "seen" / "index.html").read_text()
    assert all(f'<img src="{path.name}"' in page for path in drawn) and "AP50 %" in page and "<td>9</td>" in page
    assert len(outcome.result["by_class"]["ap50"]) == 10


def test_what_cannot_be_drawn_is_refused_before_anything_starts(folder: Path) -> None:
    def asked(start: str, **what):
        options = StageOptions(start=start, storage=str(folder / "runs"), name="again")
        return prepare_stage("evaluate", options, **what)[0]

    scenes = file(folder, "finetune")
    with pytest.raises(BadInputError, match="leave out --knn and --linear-probe"):
        check_pictures(folder / "new", asked(scenes, ways=("knn",)))
    (folder / "taken").write_text("")
    with pytest.raises(BadInputError, match="found a file there; expected a folder"):
        check_pictures(folder / "taken", asked(scenes, ways=("score",)))
    run(folder, "pretrain", "digits")
    with pytest.raises(BadInputError, match="the task classification of Digits has nothing to draw"):
        check_pictures(folder / "new", asked(file(folder, "digits"), ways=("score",)))
