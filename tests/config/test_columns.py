"""Settings go into columns of the store and come back; a null is told from a column that is not there yet."""

from bissl_ray.config.columns import nullable_settings, settings_of_row, to_columns
from bissl_ray.config.setting_rules import parameter_types
from bissl_ray.config.settings import Settings

CHANGED = Settings(clip_norm=None, curvature_batch=64, lower_lr=0.0, exclude_bias_and_norm=False, pretext="byol")


def test_every_setting_comes_back():
    for settings in (Settings(), CHANGED):
        row = to_columns(settings)
        assert {"param_lower_lr", "param_clip_norm"} <= row.keys()
        assert Settings(**settings_of_row({**row, "trial": "t000", "seed": 3})) == settings


def test_a_null_of_a_setting_that_has_none_is_of_an_older_row():
    row = {**to_columns(CHANGED), "param_lower_lr": None}
    del row["param_curvature_batch"], row["param_divergence_factor"]
    found = settings_of_row(row)
    assert found.keys() == Settings.model_fields.keys() - {"lower_lr", "curvature_batch", "divergence_factor"}
    assert found["clip_norm"] is None


def test_columns_of_another_release_are_left_aside():
    assert settings_of_row({"param_upper_lr": 0.5, "param_lower_rl": 0.5, "upper_lr": 0.1}) == {
        "upper_lr": 0.5,
        "exif_orientation": False,  # what releases did that had no such column
    }


def test_which_may_be_null():
    assert {"clip_norm", "curvature_batch", "proximity_weight_stem", "cache_side"} <= nullable_settings()
    assert not nullable_settings() & {"lower_lr", "solver", "alternations", "exclude_bias_and_norm"}


def test_types_of_the_columns():
    types = parameter_types()
    assert types.keys() == Settings.model_fields.keys()
    wanted = {"lower_lr": float, "clip_norm": float, "alternations": int, "curvature_batch": int}
    assert {name: types[name] for name in wanted} == wanted
    assert types["exclude_bias_and_norm"] is bool and types["pretext"] is types["backbone"] is str
