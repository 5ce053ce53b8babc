"""What a sweep refuses, in one line, before anything is rendered."""

import pytest

from src.errors import UserError
from src.ops import backend
from src.sweep.plan import open_sweep
from src.sweep.run import open_configured_sweeps

from .conftest import RESOLUTION, PlainLandmarks, config_of, settings_of, sweep


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolutions": (128,)}, "blend.res=128: a 32 px network can be blended at 4, 8, 16$"),
        ({"resolutions": (12,)}, r"blend.res=\[12\]: give all, a power of two from 4 up"),
        ({"resolutions": (RESOLUTION,)}, "blend.res=32: .*un-blended low network.*choose 16 or less"),
        ({"resolutions": ()}, r"blend.res=\[\]: give all, a power of two"),
        ({"blend": {"direction": "up"}}, "blend.direction=up: give cartoon_low or cartoon_high"),
        ({"blend": {"level": 2}}, "blend.level=2: give a whole number from 0 to 1 .first or second"),
        ({"blend": {"width": 0}}, "blend.width=0: give a number above 0 or null"),
        (
            {"resolutions": (64,), "blend": {"width": 1.0}},
            "blend.res=64: a 32 px network can be blended at 4, 8, 16, 32$",
        ),
        ({"n_latents": 4}, "n_latents=4: give a whole number from 16 up or null"),
        ({"n_latents": 1e9}, "n_latents=1000000000.0: give a whole number"),
        ({"landmarks": "eyes"}, "landmarks=eyes: give auto, network, face-alignment or dlib"),
        ({"recogniser": "eyes"}, "recogniser=eyes: give dlib or package.module:function or null"),
        ({"recogniser": "no.such:tell"}, "recogniser=no.such:tell: no.such cannot be imported"),
        ({"psi": 0}, "psi=0: give a number above 0 up to 1 .1 is no truncation."),
        ({"alpha": 1}, "alpha=1: give a number above 0 and below 1"),
        ({"snapshot": [7]}, "snapshot=7: the run has snapshots at 0, 1, 2 kimg"),
        ({"snapshot": 0}, "a sweep needs a snapshot later than 0 kimg"),
        ({"base": "nowhere.safetensors"}, "nowhere.safetensors"),
        ({"device": "abacus"}, "device=abacus"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_is_one_clear_line_and_nothing_is_written(trained_run, options, message):
    arguments = {"resolutions": (8,), **options}
    with pytest.raises(UserError, match=message) as caught:
        sweep(trained_run, **arguments)
    assert "\n" not in str(caught.value) and not (trained_run / "sweeps").exists()


@pytest.mark.parametrize(
    "options",
    [{"snapshot": None}, {"base": 1}, {"device": "mps"}, {"blend": {"level": True}}, {"tracker": {"mode": "x"}}],
)
def test_values_of_a_wrong_type_are_refused(options):
    with pytest.raises(UserError, match=f"{next(iter(options))}"):
        settings_of((8,), **options)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"paths": "x"}, "paths=x: is a group of options"),
        ({"paths": {"runs": None}}, "paths.runs=null: give a text"),
        ({"run": None}, "run=null: give latest, a name or a folder"),
    ],
)
def test_paths_and_runs_of_a_wrong_type_are_refused(run_dir, given, message):
    with pytest.raises(UserError, match=message):
        open_configured_sweeps({**config_of(run_dir, (8,)), **given})[0]


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/tmp/x", 3])
def test_a_sweep_stays_in_its_folder(name):
    with pytest.raises(UserError, match="a name for the sweep's folder"):
        settings_of((8,), name=name)


def test_pictures_that_no_detector_knows_are_refused_before_cells_are_rendered(run_dir, monkeypatch):
    monkeypatch.setattr(PlainLandmarks, "find", lambda self, image, name: [])
    with pytest.raises(UserError, match="landmarks=network: faces found in 0% of the base's pictures"):
        sweep(run_dir, landmarks="network")
    assert not list((run_dir / "sweeps" / "cartoon-low").rglob("*.npz"))


def test_a_damaged_snapshot_is_named_before_anything_is_rendered(run_dir):
    path = run_dir / "snapshots" / "kimg-000002.00.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match=r"^kimg-000002\.00\.safetensors cannot be used: restore or delete it, or name"):
        sweep(run_dir)
    assert not (run_dir / "sweeps").exists()
    assert open_sweep(run_dir, settings_of((8,), snapshot=[1])).snapshots[0].kimg == 1, "without it the others serve"


def test_wrong_ops_are_said_before_any_cell_is_touched(run_dir, monkeypatch):
    monkeypatch.setattr(backend, "_policy", None)
    monkeypatch.setenv("CARICATURE_OPS", "fast")
    with pytest.raises(UserError, match="CARICATURE_OPS=fast: choose one of auto, reference, required"):
        sweep(run_dir)
    assert not (run_dir / "sweeps").exists()
