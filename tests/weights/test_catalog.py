"""The catalogue: every file of conf/pretrained is valid, names fetch, and what is expected of a network is compared."""

import json
import re
from pathlib import Path

import pytest
import yaml

from src.caricature.run import main as caricature
from src.cli import compose_config
from src.errors import UserError
from src.fetch.checksums import recorded
from src.generate.run import generate
from src.networks.architecture import channels_per_resolution
from src.options import read
from src.sweep.run import open_configured_sweeps
from src.training import TrainSettings
from src.training.identity import identity
from src.training.run import train
from src.weights import PretrainedSettings, catalog_entry, catalog_names, load_network, save_network
from src.weights.catalog import FOLDER, check_architecture
from src.weights.load import SHIPPED, resolve_network
from tests.tiny import make_tiny

OWN = {"demo", "file", "none"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The weights folder of the current directory."""
    monkeypatch.chdir(tmp_path)
    return Path("weights")


def entry_values(**changes):
    values = yaml.safe_load((FOLDER / "ffhq256.yaml").read_text())
    for key, value in changes.items():
        *groups, last = key.split("__")
        target = values
        for group in groups:
            target = target[group]
        target[last] = value
    return values


def write(folder, name="ffhq256", **changes):
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(entry_values(**changes)))
    return path


def test_the_catalogue_is_conf_pretrained():
    assert set(catalog_names()) | OWN == {path.stem for path in FOLDER.glob("*.yaml")}
    assert {"ffhq256", "ffhq256_nvidia", "ffhq512", "ffhq1024", "celebahq256"} <= set(catalog_names())
    assert not OWN & set(catalog_names())


@pytest.mark.parametrize("name", catalog_names())
def test_every_entry_is_valid_and_composes(name):
    entry = catalog_entry(name)
    assert entry.name == name
    assert entry.file.urls
    assert all(url.startswith("https://") for url in entry.file.urls)
    composed = compose_config("train", [f"pretrained={name}"])
    assert composed["pretrained"]["name"] == composed["pretrained"]["source"] == name
    assert composed["pretrained"]["fresh_d"] is False
    read(TrainSettings, composed)


def test_file_names_are_not_shared():
    files = [catalog_entry(name).file.name for name in catalog_names()]
    assert len(files) == len(set(files))


def test_the_original_project_s_network():
    entry = catalog_entry("ffhq256")
    assert entry.file.name == "ffhq-256-config-e-003810.pkl"
    assert entry.file.licence == "CC BY-NC-SA 4.0"
    widths = channels_per_resolution(256, entry.architecture.channel_base, entry.architecture.channel_max)
    assert widths == {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64}


def test_names_that_are_none():
    for name in ("nothing", "demo", "../pretrained/ffhq256", "ffhq256.yaml", "", "conf/pretrained/ffhq256"):
        assert catalog_entry(name) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "other"}, "name and source must both be ffhq256"),
        ({"about": None}, "about=null: give a text"),
        ({"file": 3}, "file=3: is a group of options"),
        ({"file__hash": "x"}, "file.hash=x: there is no such option"),
        ({"file__urls": []}, "file.urls=[]: give one at least"),
        ({"file__urls": "https://x/y"}, "file.urls=https://x/y: give a list of URLs"),
        ({"file__urls": ["ftp://x/y"]}, "only http, https, file URLs"),
        ({"file__size": "big"}, "file.size=big: give a whole number from 1 up or null"),
        ({"file__sha256": "xyz"}, "file.sha256=xyz: give 64 hexadecimal digits"),
        ({"file__licence": None}, "file.licence=null: give a text"),
        ({"architecture__format": "onnx"}, "architecture.format=onnx"),
        ({"architecture__z_dim": "512"}, "architecture.z_dim=512: give a whole number"),
        ({"architecture__resolution": None}, "architecture.resolution=null: give a power of two"),
        ({"architecture__resolution": 100}, "architecture.resolution=100: give a power of two"),
        ({"architecture__channel_max": None}, "both or none of channel_base and channel_max"),
        ({"architecture": None}, "architecture=null: is a group of options"),
    ],
)
def test_a_malformed_entry_is_named(tmp_path, changes, words):
    path = write(tmp_path, **changes)
    with pytest.raises(UserError) as error:
        catalog_entry("ffhq256", tmp_path)
    assert words in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["a: [", "- 1", "", "\x00"])
def test_an_unreadable_entry_is_named(tmp_path, text):
    (tmp_path / "ffhq256.yaml").write_text(text)
    with pytest.raises(UserError, match=r"ffhq256\.yaml is damaged") as error:
        catalog_names(tmp_path)
    assert "\n" not in str(error.value)


def test_architectures_are_compared():
    entry = catalog_entry("ffhq256")
    known = {"resolution": 256, "num_mapping_layers": 8, "z_dim": 512, "w_dim": 512}
    right = {**known, "channels": channels_per_resolution(256, 16384, 512)}
    check_architecture(entry, right)
    check_architecture(catalog_entry("ffhq256_slim"), {**right, "z_dim": 64, "num_mapping_layers": 2})
    wrong = {**right, "num_mapping_layers": 2, "channels": channels_per_resolution(256, 32768, 512)}
    with pytest.raises(UserError) as error:
        check_architecture(entry, wrong)
    assert "num_mapping_layers is 2, expected 8; 64 px has 512 channels, expected 256" in str(error.value)
    small = {**right, "resolution": 8, "channels": {4: 512, 8: 512}}
    with pytest.raises(UserError, match=r"resolution is 8, expected 256 \("):
        check_architecture(entry, small)


def test_a_name_is_a_network(folder):
    """A file of the catalogue's name in the weights folder is what `load_network(name)` opens."""
    entry = catalog_entry("ffhq256")
    G, _ = make_tiny()
    save_network(folder / "net.safetensors", G_ema=G).rename(folder / entry.file.name)
    assert resolve_network("ffhq256") == folder / entry.file.name
    assert entry.fetch() == folder / entry.file.name
    recorded = json.loads((folder / "checksums.json").read_text())
    assert recorded[entry.file.name]["source"] == "placed by hand"


def test_an_unknown_name_lists_the_known():
    with pytest.raises(UserError, match=r"neither a file, nor a run folder .*\(demo, celebahq256, .*ffhq256"):
        load_network("ffhq257")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("pretrained.file.sha256=abcdef012345", "pretrained.file.sha256=abcdef012345: the catalogue says null"),
        ("pretrained.file.urls=[https://x/y]", "pretrained.file.urls="),
        ("pretrained.file.licence=mine", "edit conf/pretrained/ffhq256.yaml"),
        ("pretrained.architecture.resolution=512", "pretrained.architecture.resolution=512: the catalogue says 256"),
        ("pretrained.about=x", "pretrained.about=x"),
        ("pretrained.name=ffhq512", "pretrained.about="),
        ("pretrained.name=mine", "pretrained.name=mine"),
        ("pretrained.name=demo", "pretrained.name=demo"),
        ("pretrained.file=3", "pretrained.file="),
        ("pretrained.source=mine.pkl", "pretrained=file pretrained.source=PATH"),
    ],
)
def test_the_catalogue_is_not_changed_on_the_command_line(override, words):
    with pytest.raises(UserError) as error:
        read(TrainSettings, compose_config("train", ["pretrained=ffhq256", override]))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_an_untrained_discriminator_may_be_asked_for():
    read(TrainSettings, compose_config("train", ["pretrained=rosinality1024", "pretrained.fresh_d=true"]))
    PretrainedSettings(name="file", source="x")


def test_a_run_stays_the_same_when_weights_move():
    class Dataset:
        fingerprint = "f"

    def own(sha256="0" * 64, **changes):
        config = compose_config("train", ["pretrained=ffhq256", *changes.pop("overrides", [])])
        config["pretrained"].update(changes)
        return identity(config, Dataset, sha256)

    assert own() == own(overrides=["weights.folder=/elsewhere", "weights.mirror=/shelf"])
    assert own() == own(about="corrected", file={"urls": []}, architecture={})
    assert own() == own(name="file", source="weights/ffhq256.pkl"), "the same file"
    assert own() != own("1" * 64)
    assert own(None) != own(None, name="ffhq512", source="ffhq512")


def test_scripts_take_folder_and_mirror(tmp_path):
    """What lies on the mirror arrives in the folder; that it is not a network is said by the reader."""
    shelf, run = tmp_path / "shelf", tmp_path / "runs" / "a"
    shelf.mkdir()
    name = catalog_entry("ffhq256").file.name
    (shelf / name).write_bytes(b"no network")
    (run / "snapshots").mkdir(parents=True)
    (run / "run.json").write_text("{}")
    save_network(run / "snapshots" / "kimg-000000.00.safetensors", G_ema=make_tiny()[0], meta={"kimg": 0.0})
    for script, choice, start in (
        ("train", "pretrained", train),
        ("sweep", "base", open_configured_sweeps),
        ("generate", "network", generate),
        ("caricature", "network", caricature),
    ):
        options = [f"weights.folder={tmp_path / script}", f"weights.mirror={shelf}", f"paths.runs={tmp_path / 'runs'}"]
        options += [f"codes={tmp_path}"] if script == "caricature" else []
        with pytest.raises(UserError, match=re.escape(str(tmp_path / script / name))) as error:
            start(compose_config(script, [f"{choice}=ffhq256", *options]))
        assert "\n" not in str(error.value)
        assert (tmp_path / script / name).read_bytes() == b"no network"


@pytest.mark.parametrize(("script", "start"), [("train", train), ("sweep", open_configured_sweeps)])
@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("weights.folder=null", "weights.folder=null: give a path"),
        ("weights.mirror=''", "weights.mirror=: give a text or null"),
        ("weights.mirror=ftp://host", "weights.mirror=ftp://host: only http, https, file URLs are opened"),
        ("weights=3", "weights=3: is a group of options"),
    ],
)
def test_wrong_weights_options_are_one_line(script, start, override, words):
    with pytest.raises(UserError, match=re.escape(words)) as error:
        start(compose_config(script, [override]))
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_the_published_network_is_not_remembered(folder):
    """What came first may be wrong: the next file of that name is taken as it comes."""
    path = folder / catalog_entry("ffhq256").file.name
    folder.mkdir()
    path.write_bytes(SHIPPED["demo"].read_bytes())
    with pytest.raises(UserError, match=r"file is of native, expected StyleGAN2 on TensorFlow.*delete it") as error:
        load_network("ffhq256")
    assert str(path) in str(error.value) and recorded(path) is None
    path.write_bytes(b"garbage")
    with pytest.raises(UserError, match="not a network file of a known format"):
        load_network("ffhq256")
    assert recorded(path) is None


def test_a_file_that_cannot_be_read_is_one_message(folder, monkeypatch):
    folder.mkdir()
    path = folder / catalog_entry("rosinality256").file.name
    path.write_bytes(b"x")

    def fail(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("src.fetch.checksums.file_sha256", fail)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        load_network("rosinality256")
