"""Codes of files: this project's, NVIDIA's and rosinality's projections; others are refused in one line."""

import os

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.generate.codes import read_codes, seed_codes
from tests.conftest import make_tiny

LAYERS, WIDTH = 6, 8


@pytest.fixture(scope="module")
def G():
    return make_tiny()[0].eval()


def some_codes(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_every_form_of_codes(G, tmp_path):
    one, many, single = some_codes(LAYERS, WIDTH), some_codes(3, LAYERS, WIDTH, seed=1), some_codes(1, WIDTH, seed=2)
    np.save(tmp_path / "a10.npy", one)
    np.save(tmp_path / "a2.npy", many.astype(np.float64))
    np.save(tmp_path / "b.npy", single)
    np.savez(tmp_path / "projected_w.npz", w=one[None])
    (tmp_path / "notes.txt").write_text("not codes")
    codes = read_codes(tmp_path, G)
    assert codes.names == ["a2-000", "a2-001", "a2-002", "a10", "b", "projected_w"]
    assert codes.ws.dtype == torch.float32
    assert np.array_equal(codes.ws[:3], many) and np.array_equal(codes.ws[3], one)
    assert np.array_equal(codes.ws[4], single.repeat(LAYERS, 0)) and np.array_equal(codes.ws[5], one)
    assert read_codes(tmp_path / "a10.npy", G).names == ["a10"]


@pytest.mark.parametrize("legacy", [False, True])
def test_rosinalitys_projections(G, tmp_path, capsys, legacy):
    plus, w = torch.from_numpy(some_codes(2, LAYERS, WIDTH)), torch.from_numpy(some_codes(2, WIDTH, seed=1))
    noise = [torch.zeros([1, 1, 4, 4])]
    for name, latents in (("plus.pt", plus), ("w.pt", w)):
        latents.requires_grad_(True)
        found = {
            f"photos/me{i}.jpg": {"img": torch.zeros([1, 3, 4, 4]), "latent": latent, "noise": noise}
            for i, latent in enumerate(latents)
        }
        torch.save(found, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    codes = read_codes(tmp_path / "plus.pt", G)
    assert codes.names == ["me0", "me1"] and torch.equal(codes.ws, plus.detach())
    assert torch.equal(read_codes(tmp_path / "w.pt", G).ws, w.detach()[:, None].repeat(1, LAYERS, 1))
    assert "noise maps are not used" in capsys.readouterr().out


class Hostile:
    def __reduce__(self):
        return os.system, ("touch hostile-was-here",)


def test_hostile_files_run_nothing(G, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"a": {"latent": Hostile()}}, "a.pt")
    np.save("b.npy", np.array([Hostile()], dtype=object), allow_pickle=True)
    np.savez("c.npz", w=np.array([Hostile()], dtype=object))
    for name in ("a.pt", "b.npy", "c.npz"):
        with pytest.raises(UserError, match=name):
            read_codes(name, G)
    assert not (tmp_path / "hostile-was-here").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", some_codes(18, 512), r"codes of shape \[18, 512\]; this network takes \[6, 8\]"),
        ("a.npy", some_codes(2, 3, LAYERS, WIDTH), "codes of shape"),
        ("a.npy", np.zeros([0, LAYERS, WIDTH], np.float32), "codes of shape"),
        ("a.npy", np.zeros([LAYERS, WIDTH], np.int64), "holds int64"),
        ("a.npy", np.full([LAYERS, WIDTH], np.nan, np.float32), "not finite"),
        ("a.npy", b"\x93NUMPY", "cut short"),
        ("a.npy", b"", "cut short"),
        ("a.npz", b"PK\x03\x04 cut", "cut short"),
        ("a.pt", b"text", "not a file of torch.save"),
        ("a.pt", b"", "an empty file"),
        ("a.bin", b"text", "codes are read from .npy, .npz, .pt"),
    ],
)
def test_other_files_are_named(G, tmp_path, name, content, words):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(UserError, match=words) as error:
        read_codes(path, G)
    assert name in str(error.value) and "\n" not in str(error.value)


def test_wrong_places_and_contents_are_named(G, tmp_path):
    np.savez(tmp_path / "a.npz", codes=some_codes(LAYERS, WIDTH))
    torch.save({"g_ema": {}}, tmp_path / "b.pt")
    (tmp_path / "empty").mkdir()
    (tmp_path / "twice").mkdir()
    np.save(tmp_path / "twice" / "a.npy", some_codes(LAYERS, WIDTH))
    np.savez(tmp_path / "twice" / "a.npz", w=some_codes(1, LAYERS, WIDTH))
    for name, words in (
        ("a.npz", "holds codes.npy; a projection has its codes under w"),
        ("b.pt", "not a projection"),
        ("empty", "no codes in it"),
        ("nowhere", "no such file or folder"),
        ("twice", "two codes are called a"),
    ):
        with pytest.raises(UserError, match=words):
            read_codes(tmp_path / name, G)


def test_a_seeds_code_does_not_depend_on_its_neighbours(G):
    many, one = seed_codes(G, [3, 5, 2**32 - 1]), seed_codes(G, [5])
    assert many.names == ["seed0003", "seed0005", "seed4294967295"]
    assert torch.allclose(many.ws[1], one.ws[0], atol=1e-6)
    z = torch.from_numpy(np.random.RandomState(5).randn(1, G.z_dim)).float()
    assert torch.equal(one.ws, G.mapping(z))
