"""Nothing that `generate.py` made is replaced by what was made otherwise; the same command replaces its own."""

import errno
import os
import shutil

import numpy as np
import pytest

from src.cli import compose_config
from src.errors import UserError
from src.generate import GenerateSettings
from src.options import read


def files(folder):
    """Every file in a folder and its bytes, by its name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stems(folder):
    return sorted(path.stem for path in folder.glob("*.jpg"))


@pytest.fixture
def networks(runs):
    return [runs / f"first/snapshots/kimg-00000{kimg}.00.safetensors" for kimg in (0, 1, 2)]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (["psi=0.3"], ["psi=1"]),
        (["psi=0.3"], ["psi=0.3", "cutoff=2"]),
        (["noise=const"], ["noise=random"]),
        (["grid.columns=1"], ["grid.columns=2"]),
        (["psi=0.3000001"], ["psi=0.3000002"]),
        (["mode=mix", "mix.seeds=1-2"], ["mode=mix", "mix.seeds=1-2", "mix.layers=0"]),
        (["mode=truncation"], ["mode=truncation", "truncation.psi=[0,0.25,0.5,0.75,1.0000001]"]),
    ],
)
def test_other_options_replace_no_picture_and_no_code(render, runs, first, then):
    usual = ["run=first", "seeds=0-1", "singles=true", "save_codes=true"]
    folder = render(*usual, *first)
    before = files(folder)
    assert render(*usual, *then) == folder
    after = files(folder)
    assert before.items() < after.items() and len(after) == 2 * len(before)
    render(*usual, *first)
    render(*usual, *then)
    assert files(folder) == after


def test_other_networks_in_one_folder(render, networks, tmp_path):
    usual = ["seeds=0-3", "out=gn", "save_codes=true"]
    folder = render("network=demo", *usual)
    before = files(folder)
    render(f"network={networks[1]}", *usual)
    assert stems(folder) == ["grid-demo-0-3-psi0.7", "grid-kimg-000001.00-0-3-psi0.7"]
    assert before.items() < files(folder).items()
    before = files(folder)
    (tmp_path / "other").mkdir()
    namesake = shutil.copy(networks[2], tmp_path / "other" / networks[1].name)
    render(f"network={namesake}", *usual)
    shutil.copy(networks[0], namesake)  # the same file, trained on
    render(f"network={namesake}", *usual)
    assert stems(folder)[1:] == ["grid-kimg-000001.00-0-3-psi0.7" + end for end in ("", "-2", "-3")]
    assert before.items() < files(folder).items()


def test_other_codes_in_one_folder(render, networks, tmp_path):
    usual = [f"network={networks[1]}", "out=gn"]
    for number, place in enumerate(("one/codes", "two/codes", "far/one/codes", "2024.06.01", "2024.06.02")):
        (tmp_path / place).mkdir(parents=True)
        np.save(tmp_path / place / "me.npy", np.full([8, 16], number, np.float32))
        before = files(tmp_path / "gn")
        folder = render(f"codes={tmp_path / place}", *usual)
        assert before.items() < files(folder).items()
    names = ["2024.06.01", "2024.06.02", "one-codes", "one-codes-2", "two-codes"]
    assert stems(folder) == [f"grid-kimg-000001.00-{name}" for name in names]
    np.save(tmp_path / "one/codes/me.npy", np.full([8, 16], 9, np.float32))  # projected again
    render(f"codes={tmp_path}/one/codes", *usual)
    assert "grid-kimg-000001.00-one-codes-3" in stems(folder)


def test_pairs_of_another_base(render, networks):
    usual = ["mode=pairs", "seeds=0-1", "pairs.columns=snapshots", "snapshot=2", "out=gn", "singles=true"]
    folder = render(*usual)
    before = files(folder)
    render(*usual, f"base={networks[1]}")
    assert before.items() < files(folder).items() and len(stems(folder)) == 2


def test_what_nobody_accounts_for_stays(render, networks, tmp_path):
    usual = [f"network={networks[1]}", "seeds=0-1", "out=gn"]
    folder = render(*usual)
    (path,) = folder.glob("*.jpg")
    path.with_suffix(".json").unlink()
    path.write_bytes(b"mine")
    render(*usual)
    assert path.read_bytes() == b"mine" and path.with_stem(f"{path.stem}-2").is_file()
    path.with_suffix(".json").write_text("mine")
    render(*usual)
    assert path.read_bytes() == b"mine" and len(stems(folder)) == 2


@pytest.mark.parametrize("mode", ["grid", "truncation", "mix", "pairs", "blends", "film"])
def test_there_is_no_record_without_its_picture(render, tmp_path, monkeypatch, mode):
    """A crash or a full disk leaves nothing that keeps the name."""

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    options = ["run=first", f"mode={mode}", "seeds=0-1", "out=gn", "singles=true", "save_codes=true"]
    options += {
        "mix": ["mix.seeds=2"],
        "film": ["film.frames=2", "film.format=webp"],
        "pairs": ["pairs.columns=best"],
    }.get(mode, [])
    with monkeypatch.context() as patch:
        patch.setattr("src.generate.film._write_animation", lambda path, kind, frames, shown: (next(frames), full()))
        patch.setattr("src.generate.job.save_sheet", full)
        with pytest.raises(UserError, match="No space left"):
            render(*options)
    assert files(tmp_path / "gn") == {}
    folder = render(*options)
    (record,) = folder.glob("*.json")
    assert not record.stem.endswith("-2") and len(list(folder.glob(f"{record.stem}.*"))) == 2
    assert {path.name for path in folder.glob("*/*")} == {record.stem}


def test_columns_of_a_mix_do_not_replace_codes_of_the_same_name(render, networks):
    options = ["mode=mix", "seeds=0-1", "psi=0.5", "save_codes=true", f"network={networks[1]}"]
    first = render(*options)
    (codes,) = (first / "codes").iterdir()
    folder = render(*options[:1], *options[2:], f"codes={codes}", "mix.seeds=0", "out=mixed")
    assert sorted(path.stem for path in folder.glob("codes/*/*.npy"))[:2] == ["column-seed0000", "seed0000"]


def test_the_home_folder_may_be_written_as_a_tilde(render, runs, networks, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    network = f"network='~/{networks[1].relative_to(tmp_path)}'"
    folder = render(network, "seeds=0", "save_codes=true", "out='~/mine'")
    assert folder == tmp_path / "mine"
    (codes,) = (folder / "codes").iterdir()
    assert render(network, f"codes='~/mine/codes/{codes.name}'", "out='~/mine'") == folder
    monkeypatch.chdir("/")
    assert render("paths.runs='~/runs'", "seeds=0") == runs / "first/generated/cartoon-low-best"
    options = ["run='~/runs/first'", f"base='~/{networks[0].relative_to(tmp_path)}'", "blend.res=8", "seeds=0"]
    assert render(*options, "snapshot=1").parent == runs / "first/generated"


def test_a_users_home_that_does_not_exist_is_no_crash():
    assert str(read(GenerateSettings, compose_config("generate", ["out='~nobody-at-all/x'"])).out) == "~nobody-at-all/x"
