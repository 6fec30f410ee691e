"""What is said once: which of it holds, how values are read, what is refused."""

import os
from pathlib import Path

import pytest

from bissl_ray.config.said_once import KEYS, read_all
from bissl_ray.config.said_once.template import template
from bissl_ray.errors import BadInputError
from tests.config.said_once import nothing_said, users_own


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return nothing_said(tmp_path, monkeypatch)


FOLDERS = "data-dir = '/folders'\n"
FOLDERS_CARS = "data-dir = '/folders'\n[datasets.cars]\ndata_dir = '/folders/cars'\n"
USERS = "[datasets.cars]\ndata-dir = '/users/cars'\n"


@pytest.mark.parametrize(
    ("environment", "folders", "users", "value", "origin"),
    [
        (None, None, None, None, None),
        (None, None, USERS, "/users/cars", "user's file ~/.config/bissl-ray/config.toml:2"),
        (None, FOLDERS, USERS, "/folders", "../bissl-ray.toml:1"),
        (None, FOLDERS_CARS, USERS, "/folders/cars", "../bissl-ray.toml:3"),
        (None, "datasets.cars.data-dir = '/dotted'", None, "/dotted", "../bissl-ray.toml:1"),
        (None, "[datasets]\ncars = {data-dir = '/inline'}", None, "/inline", "../bissl-ray.toml:2"),
        (None, "\ufeffdata-dir = '/marked'", None, "/marked", "../bissl-ray.toml:1"),
        (None, "data-dir = ''", USERS, None, "../bissl-ray.toml:1"),
        (None, "data-dir = '/a'\n[datasets.cars]\ndata-dir = ''", USERS, None, "../bissl-ray.toml:3"),
        ("/environment", FOLDERS_CARS, USERS, "/environment", "environment BISSL_RAY_DATA_DIR"),
        ("", FOLDERS, None, "/folders", "../bissl-ray.toml:1"),
        (" ", None, USERS, "/users/cars", "user's file ~/.config/bissl-ray/config.toml:2"),
    ],
)
def test_the_nearest_holds(environment, folders, users, value, origin, project, tmp_path, monkeypatch) -> None:
    if environment is not None:
        monkeypatch.setenv("BISSL_RAY_DATA_DIR", environment)
    if folders is not None:
        (project / "bissl-ray.toml").write_text(folders)
    if users is not None:
        users_own(tmp_path, users)
    said = read_all().find("data-dir", "cars")
    assert (said and said.value, said and said.origin) == (value, origin)


@pytest.mark.parametrize(
    ("key", "written", "read"),
    [
        ("data-dir", '"data"', "PROJECT/data"),
        ("data-dir", '"../data"', "PROJECT/../data"),
        ("data-dir", '"~/data"', "HOME/data"),
        ("data-dir", '"/data"', "/data"),
        ("storage", '"runs"', "PROJECT/runs"),
        ("storage", '"s3://bucket/runs"', "s3://bucket/runs"),
        ("pretrained", '"ssl.pth"', ("PROJECT/ssl.pth",)),
        ("pretrained", '"hf://owner/name/ssl.pth"', ("hf://owner/name/ssl.pth",)),
        ("pretrained", '"https://host/ssl.pth?download=1"', ("https://host/ssl.pth?download=1",)),
        ("pretrained", '"timm/vit.dino"', ("timm/vit.dino",)),
        ("pretrained", '"timm/there.pth"', ("PROJECT/timm/there.pth",)),
        ("pretrained", '["100ep=a.pth", "~/b.pth"]', ("100ep=PROJECT/a.pth", "HOME/b.pth")),
        ("pretrained", '"x=s3://bucket/a=b.pth"', ("x=s3://bucket/a=b.pth",)),
        ("space", '"cars"', "cars"),
        ("space", '"mine.yaml"', "PROJECT/mine.yaml"),
        ("address", '"host:6379"', "host:6379"),
        ("address", '"auto"', "auto"),
        ("trials", "40", 40),
        ("budget", '"1.5h"', "1.5h"),
        ("pretrain", "true", True),
        ("dataset", '"folder-birds"', "folder-birds"),
    ],
)
def test_values_are_read_as_flags_give_them(key, written, read, project, tmp_path) -> None:
    (project / "timm").mkdir()
    (project / "timm" / "there.pth").touch()
    (project / "bissl-ray.toml").write_text(f"{key} = {written}")

    def resolved(text):
        return text.replace("PROJECT", str(project)).replace("HOME", str(tmp_path)) if isinstance(text, str) else text

    expected = tuple(map(resolved, read)) if isinstance(read, tuple) else resolved(read)
    assert read_all().find(key).value == expected


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("TRIALS", "40", "trials", 40),
        ("PRETRAIN", "yes", "pretrain", True),
        ("PRETRAIN", "0", None, "found 0, expected true or false"),
        ("TRIALS", "many", None, "found 'many', expected a whole number"),
        ("SPLITS_DIR", "here", "splits-dir", "HERE/here"),
        ("DATADIR", "x", None, "found BISSL_RAY_DATADIR, .* did you mean 'BISSL_RAY_DATA_DIR'"),
        ("NAME", "x", None, "BISSL_RAY_NAME: found 'name', which one command is told, as --name"),
        ("PRETRAINED_HEAD", "x", None, "BISSL_RAY_PRETRAINED_HEAD: found no BISSL_RAY_PRETRAINED beside it"),
    ],
)
def test_the_environment_says_the_same_keys(variable, text, key, value, project, monkeypatch) -> None:
    monkeypatch.setenv(f"BISSL_RAY_{variable}", text)
    if key is None:
        with pytest.raises(BadInputError, match=value) as refusal:
            read_all()
        assert "\n" not in str(refusal.value)
    else:
        expected = value.replace("HERE", str(Path.cwd())) if isinstance(value, str) else value
        assert read_all().find(key).value == expected


def test_variables_that_were_there_before_stay_what_they_are(project, monkeypatch) -> None:
    monkeypatch.setenv("BISSL_RAY_PLUGINS", "mine")
    monkeypatch.setenv("BISSL_RAY_CACHE", "/cache")
    monkeypatch.setenv("BISSL_TEST", "x")
    assert not read_all()


def test_rays_own_address_is_of_the_environment(project, monkeypatch) -> None:
    (project / "bissl-ray.toml").write_text("address = 'host:1'")
    assert read_all().find("address").value == "host:1"
    monkeypatch.setenv("RAY_ADDRESS", "other:2")
    said = read_all().find("address")
    assert (said.value, said.origin) == (None, "environment RAY_ADDRESS")


TOKEN = "hf_" + "aB3" * 11
SECRET = "sesame1"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data-dri = '/d'", r":1: found unknown key 'data-dri', .*did you mean 'data-dir'"),
        ("\n[datasets.cars]\ndatadir = 'x'", r":3: found unknown key 'datadir', .*'data-dir'"),
        ("[dataset.cars]\ndata-dir = 'x'", r":1: found a table 'dataset'; tables of datasets are called \[datasets"),
        ("[cars]\ndata-dir = 'x'", r":1: found a table 'cars'; tables of datasets are called \[datasets"),
        ("datasets = 'cars'", r":1: found no table, expected one for each dataset"),
        ("[datasets]\ndata-dir = 'x'", r":2: expected a dataset's name"),
        ("[datasets.cars]\nstorage = 'x'", r":2: found storage, which is for all datasets; move it above"),
        ("data-dir = 'a'\ndata_dir = 'b'", r":2: found 'data-dir' as well, expected one of the two"),
        ("trials = '40'", r":1: trials: found '40', expected a whole number; write it without quotes"),
        ("trials = 0", r":1: trials: found 0, expected 1 or more"),
        ("trials = true", r":1: trials: found true, expected a whole number"),
        ("top = 1.5", r":1: top: found 1.5, expected a whole number"),
        ("data-dir = 3", r":1: data-dir: found 3, expected text in quotes"),
        ("pretrain = 'yes'", r":1: pretrain: found 'yes', expected true or false; write true without quotes"),
        ("pretrained = ['a', 3]", r":1: pretrained: found a list with something else in it"),
        ("budget = 'long'", r":1: budget: found 'long', expected a time such as"),
        ("data-dir = '~nobodyatall/x'", r":1: data-dir: found '~nobodyatall/x', and there is no such home"),
        ("pretrained-head = 'h.pth'", r":1: found pretrained-head without pretrained"),
        ("pretrained = 'a'\n[datasets.cars]\nallow-partial = true", r":3: found allow-partial without pretrained"),
        ("pretext-data-dir = 'x'", r":1: found pretext-data-dir without pretext-dataset"),
        ("dry-run = true", r":1: found 'dry-run', which one command is told, as --dry-run; leave it out here"),
        ("name = 'x'", r":1: found 'name', which one command"),
        ("force = true", r":1: found 'force', which one command"),
        ("from_trial = 'x'", r":1: found 'from_trial', which one command is told, as --from-trial"),
        ("start = 'x'", r":1: found 'start', expected pretrained"),
        ("lower_lr = 0.1", r":1: found 'lower_lr', a setting of training; it belongs in a search space"),
        ("data-dir = /data", r":1: this is no TOML \(invalid value\)"),
        ("top = 1\ntop = 2", r":2: this is no TOML \(cannot overwrite a value\)"),
        ("[datasets.cars", r":1: this is no TOML"),
        (f"hf_token = '{TOKEN}'", r":1: found 'hf_token', which looks like a secret .*environment: HF_TOKEN"),
        (f"RAY_AUTH_TOKEN = '{SECRET}'", r":1: found 'RAY_AUTH_TOKEN', .*: RAY_AUTH_TOKEN"),
        (f"[datasets.cars]\npassword = '{SECRET}'", r":2: found 'password', .*the environment variable of the library"),
        (f"aws-secret-key = '{SECRET}'", r":1: found 'aws-secret-key', .*AWS_SECRET_ACCESS_KEY"),
        (f"[s3]\naccess_key = '{SECRET}'", r":2: found 'access_key', .*AWS_SECRET_ACCESS_KEY"),
        (f"{TOKEN} = 1", r":1: found what looks like a token in place of a key"),
        (f"address = '{TOKEN}'", r":1: found what looks like a token; .*HF_TOKEN"),
        (f"pretrained = 'https://me:{SECRET}@host/a.pth'", r":1: found an address with a password or a token"),
        (f"pretrained = ['x=https://host/a.pth?token={SECRET}']", r":1: found an address with a password or a token"),
        (f"storage = 's3://me:{SECRET}@bucket/runs'", r":1: found an address with a secret in it; .*AWS_"),
        (f"storage = 's3://bucket/runs?secret_key={SECRET}'", r":1: found an address with a secret in it; .*AWS_"),
        (f"trials = 'https://me:{SECRET}@host'", r":1: found an address with a password"),
    ],
)
def test_what_can_not_be_said_is_refused_with_its_line(text, said, project) -> None:
    (project / "bissl-ray.toml").write_text(text)
    with pytest.raises(BadInputError, match=rf"^\.\./bissl-ray\.toml{said}") as refusal:
        read_all()
    message = str(refusal.value)
    assert "\n" not in message and SECRET not in message and TOKEN not in message


@pytest.mark.parametrize("harmless", ["https://host/a.pth", "timm/monkey.author", "/data/hf_checkpoints/key/a.pth"])
def test_what_only_looks_like_a_secret_is_taken(harmless, project) -> None:
    (project / "bissl-ray.toml").write_text(f"pretrained = '{harmless}'")
    assert read_all().find("pretrained") is not None


def test_a_head_belongs_to_the_checkpoint_that_it_is_said_with(project, tmp_path) -> None:
    users_own(tmp_path, "pretrained = 'a.pth'\npretrained-head = 'h.pth'\nallow-partial = true")
    (project / "bissl-ray.toml").write_text("[datasets.cars]\npretrained = 'b.pth'")
    said = read_all()
    assert said.find("pretrained-head", "pets") is not None and said.find("allow-partial", "pets").value is True
    assert said.find("pretrained-head", "cars") is None and said.find("allow-partial", "cars") is None


def test_the_nearest_folder_alone_is_read_and_nothing_above_the_home(tmp_path, monkeypatch) -> None:
    home = tmp_path / "home"
    project = nothing_said(home, monkeypatch)
    (tmp_path / "bissl-ray.toml").write_text("top = 1")
    assert read_all().find("top") is None
    (home / "bissl-ray.toml").write_text("top = 2\ntrials = 2")
    assert read_all().find("top").value == 2
    (project / "sub" / "bissl-ray.toml").write_text("top = 3")
    assert (read_all().find("top").value, read_all().find("trials")) == (3, None)
    assert read_all().find("top").origin == "bissl-ray.toml:1"


def test_a_variable_names_another_file(project, tmp_path, monkeypatch) -> None:
    (project / "bissl-ray.toml").write_text("top = 1")
    (tmp_path / "other.toml").write_text("data-dir = 'data'")
    monkeypatch.setenv("BISSL_RAY_CONFIG", "~/other.toml")
    assert read_all().find("top") is None and read_all().find("data-dir").value == str(tmp_path / "data")
    monkeypatch.setenv("BISSL_RAY_CONFIG", os.devnull)
    assert not read_all()
    monkeypatch.setenv("BISSL_RAY_CONFIG", "absent.toml")
    with pytest.raises(BadInputError, match=r"absent.toml: can't be read: No such file"):
        read_all()


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.write_bytes(b"top = '\xff'")])
def test_a_file_that_can_not_be_read_is_named(make, project) -> None:
    make(project / "bissl-ray.toml")
    with pytest.raises(BadInputError, match=r"^\.\./bissl-ray\.toml: (can't be read|not UTF-8 at byte)"):
        read_all()


ENDLESS = {
    "lists": ("a = " + "[" * 5000, "nested too deeply"),
    "keys": (".".join("a" * 3000) + " = 1", "nested too deeply"),
    "tables": ("[datasets" + ".a" * 3000 + "]", "nested too deeply"),
    "decimal": ("trials = " + "9" * 5000, "a number of thousands of digits"),
    "hexadecimal": ("trials = 0x" + "f" * 5000, "trials: found a whole number of 20,000 bits, expected 1 or more"),
    "length": ("# x\n" * 60_000, "more than 200,000 bytes"),
}


@pytest.mark.parametrize(("text", "told"), ENDLESS.values(), ids=ENDLESS.keys())
def test_a_file_without_end(text, told, project) -> None:
    (project / "bissl-ray.toml").write_text(text)
    with pytest.raises(BadInputError, match=told):
        read_all()


def test_a_pipe_is_not_waited_for(project) -> None:
    os.mkfifo(project / "bissl-ray.toml")
    with pytest.raises(BadInputError, match="found a pipe, expected a TOML file"):
        read_all()


def test_the_users_file_is_where_xdg_says(project, tmp_path, monkeypatch) -> None:
    (tmp_path / "xdg" / "bissl-ray").mkdir(parents=True)
    (tmp_path / "xdg" / "bissl-ray" / "config.toml").write_text("top = 5")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert read_all().find("top").value == 5
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert read_all().find("top") is None


def test_no_home_is_no_error(project, monkeypatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    (project / "bissl-ray.toml").write_text("top = 4")
    assert read_all().find("top").value == 4


def test_the_template_has_every_key_commented_out_and_reads_back(project) -> None:
    text = template("~/own.toml")
    file = project / "bissl-ray.toml"
    file.write_text(text)
    assert not read_all()
    keys = tuple(f"# {key} = " for key in KEYS)
    file.write_text("\n".join(line[2:] if line.startswith((*keys, "# [data")) else line for line in text.splitlines()))
    said = read_all()
    assert all(said.find(key) is not None for key in KEYS)
    assert said.find("data-dir", "cars").value == "/data/cars"
    assert all(key.unless_said in text for key in KEYS.values())
