"""YAML as people write it: a value is read as what is evidently meant, or refused in a line on how to write it.

What YAML 1.1 and 1.2 read differently (010, yes, 1:30, 2024-01-01) is nobody's number: a name may look like that.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bissl_ray.config import SearchSpace, load_search_space, resource_dir, to_yaml
from bissl_ray.config.names import PRETEXTS
from bissl_ray.config.resolved import parse_assignments
from bissl_ray.config.yaml_document import read_document
from bissl_ray.errors import BadInputError

GOOD = "dataset: d\nparameters:\n  upper_lr: {type: float, low: 0.1, high: 0.2}\n"
NO_NUMBER = "expected a number$"
NO_VALUE = "; for no value, write null without quotes$"
NO_QUOTES = "; write it without quotes$"

# setting, value as written, what is read or a pattern of the refusal
READ: list[tuple[str, str, Any]] = [
    # Numbers.
    *(("damping", text, 1000) for text in ("1000", "+1000", "1_000", "0x3e8", "0X3E8", "0o1750", "0b1111101000")),
    *(("damping", text, 1000.0) for text in ("1000.", "1000.0", "1e3", "1E3", "1.e+3", "1_000.0", "01000.0", "1_0e2")),
    *(("damping", text, 0.001) for text in ("1e-3", "1E-3", ".001", "+1e-03", "0.1e-2")),
    ("lower_warmup", "0", 0),
    ("lower_warmup", "-0", 0),
    ("clip_norm", "0.5 # half", 0.5),
    # Nothing.
    *(("clip_norm", text, None) for text in ("~", "null", "Null", "NULL")),
    # True and false.
    *(("exclude_bias_and_norm", text, True) for text in ("true", "True", "TRUE", "yes", "Yes", "on", "ON", "y", "Y")),
    *(("exclude_bias_and_norm", text, False) for text in ("false", "FALSE", "no", "No", "NO", "off", "Off", "n")),
    # Names.
    *(("backbone", text, "resnet18") for text in ("resnet18", "'resnet18'", '"resnet18"')),
]
REFUSED: list[tuple[str, str, str]] = [
    ("lower_steps", "010", "found '010', expected a whole number; versions of YAML read it as 8 or as 10: write"),
    ("lower_steps", "-0_10", "'-0_10', .*read it as -8 or as -10"),
    ("damping", "'010'", "'010', expected a number; versions of YAML read it as 8 or as 10"),
    ("damping", "08", "; write 8$"),
    ("damping", "007", "; write 7$"),
    ("lower_steps", "1:30", "found '1:30', expected a whole number; some versions of YAML read it as 90: write one"),
    ("damping", "190:20:30", "read it as 685230:"),
    ("damping", "2024-01-01", f"found '2024-01-01', {NO_NUMBER}"),
    ("damping", "2024-01-01T10:00:00Z", f"'2024-01-01T10:00:00Z', {NO_NUMBER}"),
    ("clip_norm", "0,5", "found '0,5', expected a number; write 0.5$"),
    ("clip_norm", "1,000", "; write 1000 or 1.000, whichever is meant$"),
    ("lower_steps", "1,000", "expected a whole number; write 1000$"),
    ("lower_steps", "0,5", "found '0,5', expected a whole number$"),
    ("damping", "1,000,000.5", "; write 1000000.5$"),
    ("damping", "1 000", "; write 1000$"),
    ("damping", "1'000", "; write 1000$"),
    ("damping", "0.5,", "; write 0.5$"),
    ("damping", "50%", "found '50%', expected a number; write 0.5$"),
    ("damping", "2,5 %", "; write 0.025$"),
    ("damping", "1__0", NO_NUMBER),
    ("damping", "0x", NO_NUMBER),
    ("damping", "1/3", NO_NUMBER),
    ("damping", ".inf", "found inf, expected a finite number"),
    ("damping", "-.INF", "found -inf, expected a finite number"),
    ("damping", ".NaN", "found nan, expected a finite number"),
    ("damping", "inf", NO_NUMBER),
    ("damping", "yes", NO_NUMBER),
    ("damping", "true", "found true, expected a number"),
    ("damping", "'true'", NO_NUMBER),
    *(("damping", text, NO_QUOTES) for text in ("'0.1'", '"0.1"', "'1e-3'", '"0x10"', "'1_000'")),
    ("lower_steps", "1e3", "found 1000.0, expected a whole number; write 1000$"),
    ("lower_steps", "20.", "; write 20$"),
    ("lower_steps", "20.5", "expected a whole number$"),
    *(("clip_norm", text, NO_VALUE) for text in ("None", "none", "nil", "'null'", '"~"')),
    ("damping", "none", f"found 'none', {NO_NUMBER}"),
    ("damping", "~", r"found nothing \(null\), expected a number"),
    ("exclude_bias_and_norm", "'yes'", "found 'yes', expected true or false; write true without quotes$"),
    ("exclude_bias_and_norm", '"False"', "; write false without quotes$"),
    ("exclude_bias_and_norm", "0", "found 0, expected true or false; write false$"),
    ("exclude_bias_and_norm", "2", "found 2, expected true or false$"),
    ("solver", "no", "found 'no', expected 'cg'"),
    ("backbone", "0x10", "found 16, expected text; put it in quotes"),
    ("backbone", "true", "found true, expected text; put it in quotes"),
    # Pasted from a web page or a word processor.
    ("damping", "\u22121", r"found minus sign \(U\+2212\) in '.*', expected characters of the keyboard; write .*-1"),
    ("damping", "1e\u20133", "found en dash .*; write .*1e-3"),
    ("damping", "\u201c0.1\u201d", "found left double quotation mark .*; write .*0.1"),
    ("solver", "\u2018cg\u2019", "found left single quotation mark .*; write .*cg"),
    ("damping", "1\u00a0000", "found no-break space .*; write .*1 000"),
    ("damping", "1\u200b", "found zero width space .*; write .*1"),
    ("damping", "\uff11\uff10", "found fullwidth digit one .*; write .*10"),
]


def load(folder: Path, text: str | bytes) -> SearchSpace:
    path = folder / "space.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_search_space(path)


def refusal(folder: Path, text: str, line: int) -> str:
    """What a file is refused with, without its place, which must be the line."""
    with pytest.raises(BadInputError) as refused:
        load(folder, text)
    place = f"{folder / 'space.yaml'}:{line}: "
    assert str(refused.value).startswith(place) and "\n" not in str(refused.value)
    return str(refused.value).removeprefix(place)


@pytest.mark.parametrize(("name", "written", "meant"), READ)
def test_a_value_is_read_alike_in_a_file_and_after_set(tmp_path: Path, name: str, written: str, meant: Any) -> None:
    value = load(tmp_path, f"{GOOD}fixed:\n  {name}: {written}\n").fixed[name]
    assert value == meant and type(value) is type(meant)
    if "#" not in written:
        assert parse_assignments([f"{name}={written}"]) == {name: meant}


@pytest.mark.parametrize(("name", "written", "pattern"), REFUSED)
def test_a_value_is_refused_alike_in_a_file_and_after_set(
    tmp_path: Path, name: str, written: str, pattern: str
) -> None:
    message = refusal(tmp_path, f"{GOOD}fixed:\n  {name}: {written}\n", 5)
    message = message.removesuffix(", or put it in straight quotes to keep it")
    assert re.search(pattern, message), message
    with pytest.raises(BadInputError, match=pattern) as refused:
        parse_assignments([f"{name}={written}"])
    assert str(refused.value).startswith(f"--set {name}={written}: ")


@pytest.mark.parametrize("name", ["no", "on", "y", "010", "2024-01-01", "'1e3'", "'true'", '"0x10"', "!!str 1_000"])
def test_a_name_may_look_like_something_else(tmp_path: Path, name: str) -> None:
    space = load(tmp_path, GOOD.replace("dataset: d", f"dataset: {name}"))
    assert space.dataset == name.removeprefix("!!str ").strip("'\"")


def test_yes_and_no_are_true_and_false_where_these_are_expected_and_names_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("on", "off"):
        monkeypatch.setitem(PRETEXTS, name, "bissl_ray.pretext.simclr:SimCLR")
    text = """\
dataset: d
parameters:
  upper_lr: {type: float, low: 0.1, high: 1, log: yes}
  pretext: {type: categorical, choices: [on, off]}
  exclude_bias_and_norm: {type: categorical, choices: [on, off]}
known_good: [{exclude_bias_and_norm: n, pretext: off}]
protocol: {early_stopping: no}
"""
    space = load(tmp_path, text)
    assert space.parameters["upper_lr"].log is True  # type: ignore[union-attr]
    assert space.parameters["pretext"].choices == ["on", "off"]  # type: ignore[union-attr]
    assert space.parameters["exclude_bias_and_norm"].choices == [True, False]  # type: ignore[union-attr]
    assert space.known_good == [{"exclude_bias_and_norm": False, "pretext": "off"}]
    assert space.protocol.early_stopping is False


# text after the first lines, line of the refusal, pattern
LAYOUTS: list[tuple[str, int, str]] = [
    ("fixed:\n  damping:3\n", 4, "'damping:3', .*; put a space after the colon: damping: 3$"),
    ("fixed:\n  damping:3\n  lower_steps:4\n", 4, "; put a space after the colon: damping: 3$"),
    ("fixed:\n  damping: 3\n  lower_steps:4 # four\n", 6, "'lower_steps:4', .*the colon: lower_steps: 4$"),
    ("fixed: {damping:3, lower_steps: 4}\n", 4, "'damping:3', .*the colon: damping: 3$"),
    ("fixed:\n  damping: 3\n  lower_steps 4\n", 6, "found 'lower_steps 4', expected key: value$"),
    ("fixed:\n  damping: 3 lower_steps: 4\n", 5, "found a colon at column 25, expected one key: value on a line"),
    ("fixed: {damping: 0,5}\n", 4, "found the number 5 as a key, .*decimal comma, write a dot"),
    ("fixed:\n  1e3: 0\n", 5, "found the number 1e3 as a key, expected a name"),
    ("fixed:\n  on: 0\n", 5, r"fixed\.on: found unknown key 'on'"),
    ("yes: 0\n", 4, "found unknown key 'yes'"),
    ("fixed: {damping: 1, damping: 1}\n", 4, r"found key 'damping' again \(first on line 4\)"),
    ("fixed:\n  damping:\t3\n", 5, "found a tab at column 11, expected spaces"),
    ("fixed:\n  damping: 3\t# three\n", 5, "found a tab at column 13, expected spaces"),
    ("fixed:\n\u00a0\u00a0damping: 3\n", 5, "found no-break space .*; write damping$"),
    ("fixed:\n  damping:\u00a03\n", 5, "found no-break space .*; write damping: 3,"),
    ("fixed:\n  damping: 3\n  lower_steps:\u00a03 # three\n", 6, "found no-break space .*; write lower_steps: 3$"),
    ("fixed: {\u201cdamping\u201d: 3}\n", 4, "found left double quotation mark .*; write damping$"),
    ("\ufefffixed: {damping: 3}\n", 4, "found zero width no-break space .*; write fixed$"),
    ("---\nfixed: {damping: 3}\n", 4, "found a second document after ---, expected one"),
    ("fixed: {damping: !!float 1}\n", 4, "found the tag !!float, .*delete the tag"),
    ("fixed: {damping: !!int 010}\n", 4, "found the tag !!int"),
    ("fixed: {damping: !mine 1}\n", 4, "found the tag !mine"),
    ("fixed: !!set {damping}\n", 4, "found the tag !!set"),
    ("fixed: {damping: !!python/name:os.system }\n", 4, "found the tag !!python/name:os.system"),
    ("fixed: {<<: 3}\n", 4, "found << without a mapping to merge"),
    ("fixed: &a\n  <<: *a\n", 5, "found << without a mapping to merge"),
    ("protocol: {trials: 1e2}\n", 4, r"protocol\.trials: found 100\.0, expected a whole number; write 100$"),
    ("protocol: {early_stopping: 'no'}\n", 4, "expected true or false; write false without quotes$"),
]


@pytest.mark.parametrize(("text", "line", "pattern"), LAYOUTS)
def test_a_layout_is_refused(tmp_path: Path, text: str, line: int, pattern: str) -> None:
    message = refusal(tmp_path, GOOD + text, line)
    assert re.search(pattern, message), message


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n"),
        f"# \u201cquoted\u201d\u00a0words\n%YAML 1.2\n---\n{GOOD}...\n",
        '{"dataset":"d","parameters":{"upper_lr":{"type":"float","low":0.1,"high":0.2}}}',
    ],
    ids=["byte order mark", "lines of Windows", "directive and marks", "JSON"],
)
def test_a_file_may_be_written_in_other_ways(tmp_path: Path, text: str | bytes) -> None:
    assert load(tmp_path, text).to_mapping() == load(tmp_path, GOOD).to_mapping()


def test_merge_keys_take_over_what_is_not_written(tmp_path: Path) -> None:
    text = """\
dataset: d
parameters:
  lower_lr: &lr {type: float, low: 0.1, high: 1, log: yes}
  upper_lr: {<<: *lr, high: 2}
  finetune_lr: {high: 3, <<: [{low: 0.5}, *lr]}
  damping: {<<: *lr, hgih: 3}
"""
    assert refusal(tmp_path, text, 6).startswith("parameters.damping.hgih: found unknown key")
    parameters = load(tmp_path, text.replace("hgih", "high")).to_mapping()["parameters"]
    own = {"upper_lr": {"high": 2}, "finetune_lr": {"high": 3, "low": 0.5}, "damping": {"high": 3}}
    assert all(parameters[name] == parameters["lower_lr"] | changed for name, changed in own.items())


@pytest.mark.parametrize("path", sorted(resource_dir("search_spaces").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_spaces_read_as_any_reader_of_yaml_does(path: Path) -> None:
    assert repr(read_document(path, path.name).values) == repr(yaml.safe_load(path.read_text()))


def test_what_is_printed_reads_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["010", "yes", "n", "1e-3", "1:30", "0x10", "0o17", "1_000", ".5", "null", "2024-01-01", "50%", "\u22121"]
    for name in names:
        monkeypatch.setitem(PRETEXTS, name, "bissl_ray.pretext.simclr:SimCLR")
    values = [1e-5, 1e22, 0.1, 5, None]
    space = SearchSpace.model_validate(
        {
            "dataset": "1e3",
            "parameters": {
                "pretext": {"type": "categorical", "choices": names},
                "clip_norm": {"type": "categorical", "choices": values},
                "exclude_bias_and_norm": {"type": "categorical", "choices": [True, False]},
            },
        }
    )
    printed = to_yaml(space)
    read = load(tmp_path, printed)
    assert read.to_mapping() == space.to_mapping()
    assert list(map(type, read.parameters["clip_norm"].choices)) == list(map(type, values))  # type: ignore[union-attr]
    assert yaml.safe_load(printed)["parameters"] == space.to_mapping()["parameters"]
