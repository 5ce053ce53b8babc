"""Codes of files: this project's, NVIDIA's and rosinality's projections; others are refused in one line."""

import os

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.generate.codes import read_codes, seed_codes
from src.projection.codes import Codes as PictureCodes, save_codes
from tests.tiny import make_tiny

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
    assert codes.names == ["a2-01", "a2-02", "a2-03", "a10", "b", "projected_w"]
    assert codes.ws.dtype == torch.float32
    assert np.array_equal(codes.ws[:3], many) and np.array_equal(codes.ws[3], one)
    assert np.array_equal(codes.ws[4], single.repeat(LAYERS, 0)) and np.array_equal(codes.ws[5], one)
    assert read_codes(tmp_path / "a10.npy", G).names == ["a10"]


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


def test_noise_beside_the_codes_is_left_out_with_a_note(G, tmp_path, capsys):
    noise = tuple(layer.noise_const for layer in G.synthesis.layers())
    save_codes(tmp_path, PictureCodes("me", torch.zeros([LAYERS, WIDTH]), noise))
    assert read_codes(tmp_path, G).names == ["me"]
    assert "noise maps beside the codes are not used" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("place", "words"), [("empty", "no files of codes in it"), ("nowhere", "no such file or folder")]
)
def test_wrong_places_are_named(G, tmp_path, place, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=words):
        read_codes(tmp_path / place, G)


def test_a_seeds_code_does_not_depend_on_its_neighbours(G):
    many, one = seed_codes(G, [3, 5, 2**32 - 1]), seed_codes(G, [5])
    assert many.names == ["seed0003", "seed0005", "seed4294967295"]
    assert torch.allclose(many.ws[1], one.ws[0], atol=1e-6)
    z = torch.from_numpy(np.random.RandomState(5).randn(1, G.z_dim)).float()
    assert torch.equal(one.ws, G.mapping(z))
