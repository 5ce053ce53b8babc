"""FID's Inception: its tensors, its resize, its features, what it refuses, the TorchScript alternative."""

import numpy as np
import pytest
import torch
from torch import nn

from experiments.fid.random_weights import random_pictures
from src.errors import UserError
from src.fetch import WeightsFolder
from src.files import file_sha256
from src.metrics import get_extractor, published
from src.metrics.inception import FidInception, resize_like_tensorflow

#: Features 100, 700, 1300, 1889 (one of each branch of the last block) of three pictures.
RECORDED = [
    [2.73834, 0.70086, 7.45596, 18.02728],
    [2.57189, 0.85231, 7.52039, 17.89213],
    [2.75912, 0.70128, 7.16102, 17.34381],
]


def test_tensors_are_those_of_the_published_file():
    state = FidInception().state_dict()
    assert sum(name.endswith("conv.weight") for name in state) == 94
    assert sum(v.numel() for k, v in state.items() if k.endswith(("conv.weight", "bn.weight", "bn.bias"))) == 21_785_568
    assert state["Mixed_5c.branch5x5_2.conv.weight"].shape == (64, 48, 5, 5)
    assert state["Mixed_6b.branch7x7dbl_4.conv.weight"].shape == (128, 128, 7, 1)
    assert state["Mixed_7c.branch3x3dbl_3b.bn.running_var"].shape == (384,)
    assert state["Mixed_7b.branch_pool.conv.weight"].shape == (192, 1280, 1, 1)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (256, 200), (299, 299), (512, 512), (1, 2)])
def test_the_resize_is_tensorflows(height, width):
    """Against the definition, pixel by pixel, in float64."""
    image = np.random.RandomState(0).randint(0, 256, [3, height, width]).astype(np.float64)
    ours = resize_like_tensorflow(torch.from_numpy(image).float()[None], 299)[0]
    for y, x in [(0, 0), (298, 298), (150, 7), (3, 297), (298, 0)]:
        v, u = np.float32(y) * np.float32(height / 299), np.float32(x) * np.float32(width / 299)
        y0, x0 = int(v), int(u)
        y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
        top = image[:, y0, x0] * (1 - (u - x0)) + image[:, y0, x1] * (u - x0)
        bottom = image[:, y1, x0] * (1 - (u - x0)) + image[:, y1, x1] * (u - x0)
        np.testing.assert_allclose(ours[:, y, x], top * (1 - (v - y0)) + bottom * (v - y0), atol=1e-3)
    if height == width == 299:
        assert torch.equal(ours, torch.from_numpy(image).float())


def test_features_are_what_torch_fidelity_gives(inception):
    """Numbers recorded from torch-fidelity 0.4.0 with these weights and pictures (see experiments/fid)."""
    extractor = get_extractor("inception")
    pictures = random_pictures(3, 64, seed=7, grain=5)
    features = extractor(pictures)
    assert features.shape == (3, 2048) and features.dtype == torch.float32
    expected = torch.tensor(RECORDED)
    torch.testing.assert_close(features[:, [100, 700, 1300, 1889]], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(extractor(pictures[1:2]), features[1:2], rtol=1e-4, atol=1e-4)
    assert extractor.sha256 == file_sha256(inception) and extractor.resizer == "tf1-bilinear-299"
    assert extractor(pictures[:0]).shape == (0, 2048)


def test_only_uint8_pictures_are_taken(inception):
    with pytest.raises(ValueError, match="uint8"):
        get_extractor("inception")(torch.zeros([1, 3, 8, 8]))


def test_without_its_file_the_message_says_which(weights):
    with pytest.raises(UserError, match=r"pt_inception-2015-12-05-6726825d\.pth") as error:
        get_extractor("inception")
    assert "\n" not in str(error.value)
    assert get_extractor("embedded").name == "embedded"


def test_another_file_of_that_name_is_refused(weights):
    (weights / published.INCEPTION.name).write_bytes(b"something else")
    with pytest.raises(UserError):
        get_extractor("inception")


def test_tensors_that_do_not_match_are_listed(weights, pin, inception_file):
    state = torch.load(inception_file, weights_only=True)
    state["Mixed_5b.branch1x1.conv.weight"] = torch.zeros(1)
    state["Mixed_9z.conv.weight"] = state.pop("Conv2d_1a_3x3.conv.weight")
    pin("INCEPTION", weights, state)
    with pytest.raises(UserError) as error:
        get_extractor("inception")
    for words in ("missing Conv2d_1a_3x3.conv.weight", "unexpected Mixed_9z.conv.weight", "[1], expected [64, 192, 1"):
        assert words in str(error.value)


@pytest.mark.parametrize("state", [[1, 2], {"a": 3}])
def test_what_is_no_state_dict_is_refused(weights, pin, state):
    pin("INCEPTION", weights, state)
    with pytest.raises(UserError, match="not a state dict"):
        get_extractor("inception")


def test_pickled_objects_are_never_loaded(weights, pin):
    pin("INCEPTION", weights, {"a": Hostile()})
    with pytest.raises(UserError, match="cannot be read as a state dict"):
        get_extractor("inception")


class Hostile:
    def __reduce__(self):
        return (print, ("executed",))


class Detector(nn.Module):
    """The call of NVIDIA's file: uint8 pictures of any size in, features out."""

    def __init__(self, layers):
        super().__init__()
        self.layers = layers

    def forward(self, img, return_features: bool = False):
        return self.layers(img) if return_features else img.float()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_file_gives_the_same_features(inception, tmp_path):
    ours = get_extractor("inception")
    pictures = random_pictures(2, 32, seed=1, grain=4)
    with torch.no_grad():
        script = torch.jit.script(Detector(torch.jit.trace(ours.network, pictures)))
    path = tmp_path / published.INCEPTION_NVIDIA.name
    script.save(str(path))
    sha256 = file_sha256(path).upper()
    theirs = get_extractor("inception", weights="nvidia", weights_sha256=sha256, weights_folder=WeightsFolder(tmp_path))
    torch.testing.assert_close(theirs(pictures), ours(pictures))
    assert theirs.name == "inception" and theirs.sha256 == file_sha256(path) != ours.sha256


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_file_is_not_run_unless_its_sha256_is_given(weights):
    path = weights / published.INCEPTION_NVIDIA.name
    torch.jit.script(Detector(nn.Identity())).save(str(path))
    with pytest.raises(UserError, match=r"metrics\.weights_sha256"):
        get_extractor("inception", weights="nvidia")
    with pytest.raises(UserError):
        get_extractor("inception", weights="nvidia", weights_sha256="0" * 64)
    other = get_extractor("inception", weights="nvidia", weights_sha256=file_sha256(path))
    with pytest.raises(UserError, match=r"not \[N, 2048\]"):
        other(torch.zeros([1, 3, 8, 8], dtype=torch.uint8))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_that_is_no_such_network_is_refused(weights):
    path = weights / published.INCEPTION_NVIDIA.name
    for write, words in (
        (lambda: path.write_bytes(b"no archive"), "no TorchScript file"),
        (lambda: torch.jit.script(nn.Identity()).save(str(path)), "another network"),
    ):
        write()
        with pytest.raises(UserError, match=words):
            get_extractor("inception", weights="nvidia", weights_sha256=file_sha256(path))
