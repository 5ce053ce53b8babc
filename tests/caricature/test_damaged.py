"""Codes of an earlier run are taken as long as they are what was written."""

import torch

from src.caricature.projections import _is_whole
from src.files import file_sha256
from src.projection import Codes, save_codes


def test_damaged_codes_are_projected_again_and_that_is_said(tmp_path, capsys):
    path = save_codes(tmp_path, Codes("anna", torch.zeros(4, 8)))
    (tmp_path / "anna.png").touch()
    rows = {"anna": {"codes_sha256": file_sha256(path)}}
    assert _is_whole(tmp_path, "anna", rows) and capsys.readouterr().out == ""
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    assert not _is_whole(tmp_path, "anna", rows)
    assert "anna.safetensors is damaged: projected again" in capsys.readouterr().out
    path.unlink()
    assert not _is_whole(tmp_path, "anna", rows)
