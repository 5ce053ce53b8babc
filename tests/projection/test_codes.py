"""Files of codes: written and read back, those of other projectors, what does not fit."""

import io
import json
import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from src.errors import UserError
from src.projection import Codes, find_code_files, read_codes, save_codes, stacked
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def G():
    return make_tiny()[0].eval().requires_grad_(False)


@pytest.fixture
def ws(G):
    return torch.randn([G.num_ws, G.w_dim], generator=torch.Generator().manual_seed(0))


def noise_of(G, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn([s.resolution, s.resolution], generator=generator) for s in G.synthesis.layers())


def test_written_codes_are_read_back_with_their_noise(G, ws, tmp_path):
    codes = Codes("anna", ws, noise_of(G), {"distance": 0.5})
    path = save_codes(tmp_path, codes)
    (back,) = read_codes(path, G)
    assert torch.equal(back.ws, ws)
    assert all(torch.equal(a, b) for a, b in zip(back.noise, codes.noise, strict=True))
    assert (back.name, back.meta) == ("anna", {"distance": 0.5})
    array = np.load(tmp_path / "anna.npy")
    assert (array.shape, array.dtype) == ((G.num_ws, G.w_dim), np.float32)
    assert [p.name for p in find_code_files(tmp_path)] == ["anna.safetensors"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["anna.npy", "anna.safetensors"]


@pytest.mark.parametrize("form", ["[L, w]", "[1, L, w]", "w", "[1, w]", "[1, 1, w]", "float64", "Fortran"])
def test_forms_of_npy(G, ws, tmp_path, form):
    array = {
        "[L, w]": ws.numpy(),
        "[1, L, w]": ws[None].numpy(),
        "w": ws[0].numpy(),
        "[1, w]": ws[:1].numpy(),
        "[1, 1, w]": ws[None, :1].numpy(),
        "float64": ws.double().numpy(),
        "Fortran": np.asfortranarray(ws.numpy()),
    }[form]
    np.save(tmp_path / "a.npy", array)
    (codes,) = read_codes(tmp_path / "a.npy", G)
    expected = ws[:1].expand_as(ws) if "w" in form and array.shape[-2:] != tuple(ws.shape) else ws
    assert torch.equal(codes.ws, expected)
    assert codes.noise is None


def test_several_codes_of_one_file_are_numbered(G, ws, tmp_path):
    np.save(tmp_path / "a.npy", torch.stack([ws, -ws]).numpy())
    found = read_codes(tmp_path / "a.npy", G)
    assert [c.name for c in found] == ["a-01", "a-02"]
    assert torch.equal(found[1].ws, -ws)


def test_nvidias_npz(G, ws, tmp_path):
    np.savez(tmp_path / "projected_w.npz", w=ws[None].numpy())
    assert torch.equal(read_codes(tmp_path / "projected_w.npz", G)[0].ws, ws)
    np.savez(tmp_path / "b.npz", latent=ws.numpy())
    with pytest.raises(UserError, match="an archive without w"):
        read_codes(tmp_path / "b.npz", G)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("plus", [False, True])
def test_rosinalitys_pt(G, ws, tmp_path, plus, old):
    """As its projector writes it: the picture's name, its image, its latent, its noise maps."""
    noise = [m[None, None] for m in noise_of(G)]
    value = {
        "in/anna.jpg": {"img": torch.zeros([3, 16, 16]), "latent": ws if plus else ws[0], "noise": noise},
        "in/bert.png": {"img": torch.zeros([3, 16, 16]), "latent": -ws if plus else -ws[0], "noise": noise},
    }
    torch.save(value, tmp_path / "out.pt", _use_new_zipfile_serialization=not old)
    anna, bert = read_codes(tmp_path / "out.pt", G)
    assert (anna.name, bert.name) == ("anna", "bert")
    assert torch.equal(anna.ws, ws if plus else ws[:1].expand_as(ws))
    assert torch.equal(bert.ws[0], -ws[0])
    assert all(torch.equal(a, b[0, 0]) for a, b in zip(anna.noise, noise, strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_floats_of_any_width_are_rendered(G, ws, tmp_path, dtype):
    codes, noise = (10 * ws).to(dtype), [(10 * m).to(dtype) for m in noise_of(G)]
    torch.save({"anna": {"latent": codes, "noise": noise}}, tmp_path / "pictures.pt")
    torch.save(codes, tmp_path / "alone.pt")
    torch.save({"latent": torch.nn.Parameter(ws.double())}, tmp_path / "learnt.pt")
    tensors = {"ws": codes, **{f"noise.{i:02d}": m for i, m in enumerate(noise)}}
    save_file(tensors, tmp_path / "ours.safetensors")
    for name, maps in (("pictures.pt", True), ("alone.pt", False), ("ours.safetensors", True)):
        (found,) = read_codes(tmp_path / name, G)
        assert torch.equal(found.ws, codes.float()) and found.ws.dtype == torch.float32
        given, kind = stacked([found], G)
        pictures = G.synthesis(given, noise=kind)
        assert pictures.dtype == torch.float32 and pictures.isfinite().all()
        assert (kind == "const") is not maps
        if maps:
            assert all(torch.equal(a[0, 0], b.float()) for a, b in zip(kind, noise, strict=True))
    assert torch.equal(read_codes(tmp_path / "learnt.pt", G)[0].ws, ws)


def test_noise_that_is_no_number_is_refused(G, ws, tmp_path):
    first, *others = noise_of(G)
    torch.save({"latent": ws, "noise": [first * float("inf"), *others]}, tmp_path / "a.pt")
    with pytest.raises(UserError, match=r"a\.pt: its noise maps are not finite"):
        read_codes(tmp_path / "a.pt", G)


def test_a_hostile_pt_is_refused(G, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"latent": Hostile()}, tmp_path / "bad.pt")
    (tmp_path / "bad.npy").write_bytes(pickle.dumps(Hostile()))
    for name in ("bad.pt", "bad.npy"):
        with pytest.raises(UserError, match=name):
            read_codes(tmp_path / name, G)
    buffer = io.BytesIO()
    np.save(buffer, np.array([Hostile()], dtype=object), allow_pickle=True)
    (tmp_path / "object.npy").write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match=r"object\.npy"):
        read_codes(tmp_path / "object.npy", G)
    assert not (tmp_path / "owned").exists()


def test_what_does_not_fit_is_one_line(G, ws, tmp_path):
    np.save(tmp_path / "large.npy", torch.zeros([18, G.w_dim]).numpy())
    np.save(tmp_path / "wide.npy", torch.zeros([G.num_ws, 512]).numpy())
    np.save(tmp_path / "nan.npy", (ws * float("nan")).numpy())
    np.save(tmp_path / "text.npy", np.array(["a"]))
    (tmp_path / "cut.safetensors").write_bytes(b"\x00" * 20)
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "codes.csv").write_text("1,2")
    torch.save({"latent": ws, "noise": [torch.zeros([4, 4])]}, tmp_path / "noise.pt")
    for name, words in {
        "large.npy": r"codes of shape \[18, 8\]; a 16 px network takes \[6, 8\]; they are of a 1024 px network",
        "wide.npy": r"\[6, 512\]; a 16 px network takes \[6, 8\]",
        "nan.npy": "not finite",
        "text.npy": "not of numbers",
        "cut.safetensors": "not a readable safetensors file",
        "empty.pt": "empty file",
        "codes.csv": "codes are read from",
        "noise.pt": "its 1 noise maps",
        "none.npy": "no such file",
    }.items():
        with pytest.raises(UserError, match=words) as error:
            read_codes(tmp_path / name, G)
        assert "\n" not in str(error.value)


def test_a_folder_gives_the_richest_file_of_each_stem(G, ws, tmp_path):
    save_codes(tmp_path, Codes("b", ws))
    np.save(tmp_path / "a.npy", ws.numpy())
    (tmp_path / "notes.json").write_text(json.dumps({}))
    assert [p.name for p in find_code_files(tmp_path)] == ["a.npy", "b.safetensors"]
    assert find_code_files(tmp_path / "a.npy") == [tmp_path / "a.npy"]
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(UserError, match="codes="):
            find_code_files(wrong)


def test_own_noise_is_rendered_and_others_keep_the_networks(G, ws):
    with_noise, without = Codes("a", ws, noise_of(G)), Codes("b", ws)
    both, noise = stacked([with_noise, without], G)
    images = G.synthesis(both, noise=noise)
    plain = G.synthesis(ws[None])
    torch.testing.assert_close(images[1:], plain)
    assert (images[0] - images[1]).abs().max() > 0.01
    assert stacked([without], G)[1] == "const"
    with pytest.raises(ValueError, match="noise map for each of 5 convolutions"):
        G.synthesis(both, noise=noise[:2])


def test_a_path_may_begin_with_home(G, ws, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.save(tmp_path / "a.npy", ws.numpy())
    assert torch.equal(read_codes("~/a.npy", G)[0].ws, ws)
    assert find_code_files("~") == [tmp_path / "a.npy"]


def test_suffixes_in_capitals(G, ws, tmp_path):
    np.save(tmp_path / "a.npy", ws.numpy())
    (tmp_path / "a.npy").rename(tmp_path / "A.NPY")
    (file,) = find_code_files(tmp_path)
    assert torch.equal(read_codes(file, G)[0].ws, ws)


def test_an_edited_npy_goes_before_what_was_written_with_it(G, ws, tmp_path, capsys):
    save_codes(tmp_path, Codes("anna", ws, noise_of(G)))
    save_codes(tmp_path, Codes("bert", ws, noise_of(G)))
    np.save(tmp_path / "anna.npy", ws.numpy() + 1)
    np.save(tmp_path / "bert.npy", ws[None].double().numpy())  # the same codes in another form
    anna, bert = find_code_files(tmp_path)
    assert (anna.name, bert.name) == ("anna.npy", "bert.safetensors")
    (codes,) = read_codes(anna, G)
    assert torch.equal(codes.ws, ws + 1) and codes.noise is None
    (line,) = capsys.readouterr().out.splitlines()
    assert "anna.npy: other codes than in anna.safetensors: taken as edited, without that file's noise maps" in line
    (tmp_path / "anna.npy").write_bytes(b"damaged")
    assert [p.name for p in find_code_files(tmp_path)] == ["anna.safetensors", "bert.safetensors"]


def test_writing_is_whole_or_one_line(ws, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for folder, name in ((tmp_path / "file", "a"), (tmp_path, "a" * 300)):
        with pytest.raises(UserError, match="cannot be written") as error:
            save_codes(folder, Codes(name, ws))
        assert "\n" not in str(error.value)
    save_codes(tmp_path, Codes("a", ws))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}

    def full(file, array):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    save_codes(tmp_path, Codes("b", ws))
    assert len(synced) == 2
    monkeypatch.setattr(np, "save", full)
    with pytest.raises(UserError, match=r"a\.npy: cannot be written \(No space left on device\)"):
        save_codes(tmp_path, Codes("a", ws + 1))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.stem != "b"} == before


def test_several_w_without_layers_name_both_readings(G, tmp_path):
    for rows, words in {
        4: r"they are of a 8 px network, or 4 pictures with one w each, which are to be saved as \[4, 1, 8\]",
        3: r"they may be 3 pictures with one w each, which are to be saved as \[3, 1, 8\]",
    }.items():
        np.save(tmp_path / "w.npy", np.ones([rows, G.w_dim], np.float32))
        with pytest.raises(UserError, match=words):
            read_codes(tmp_path / "w.npy", G)
        np.save(tmp_path / "w.npy", np.ones([rows, 1, G.w_dim], np.float32))
        assert len(read_codes(tmp_path / "w.npy", G)) == rows
