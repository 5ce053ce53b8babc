"""Small files that ask for much: work, memory and messages stay bounded by the file's size."""

import io
import json
import struct
import time

import pytest
import torch
from safetensors.torch import save_file

from src.errors import UserError
from src.weights import load_network, save_network

from ..memory import grows_by_less_than
from .foreign import nvlabs_pickle, random_networks, rosinality_checkpoint, tensorflow_pickle
from .test_hostile import SECONDS, binary, glob, legacy, short

SQUARE = {"z_dim": 8, "w_dim": 8, "num_mapping_layers": 2, "resolution": 8}
MEGABYTES = 700


def long_text(count):
    return b"X" + struct.pack("<I", count) + b"x" * count


def repeated(value, call, count):
    """A value in memo 0, then so many calls with it."""
    return binary(value, b"\x94", b"(", call * count, b"t")


def module(state):
    """NVIDIA's way to pickle a module, in memo order."""
    reconstruct = glob("torch_utils.persistence", "_reconstruct_persistent_obj")
    return reconstruct + b"}(" + state + b"u\x85R"


def doubled(levels):
    """A list of two equal lists of two equal lists …: as text it has 2**levels parts."""
    parts = b"]" + b"\x94"
    for i in range(levels):
        parts += b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"e\x94"
    return parts


def network_graph(levels, width):
    """TensorFlow networks, each of which has the one before as so many components."""
    made = b"N\x94"
    for i in range(levels):
        components = b"}(" + b"".join(short(f"c{k}") + b"h" + bytes([i]) for k in range(width)) + b"u"
        state = b"}(" + short("components") + components + short("version") + b"K\x04" + short("variables") + b"]"
        state += short("build_func_name") + short("G_main") + b"u"
        made += glob("dnnlib.tflib.network", "Network") + b")\x81" + state + b"b" + b"\x94"
    return b"\x80\x04" + made + b"."


def numbers(count):
    return b"".join(b"M" + struct.pack("<H", i) for i in range(count))


def multiples(count):
    """Numbers that all fall on one place of a dictionary."""
    return b"".join(b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(count))


FLOATS = b"(" + short("storage") + glob("torch", "FloatStorage") + short("0") + short("cpu") + b"K\x01tQ"
STORAGE = legacy(binary(FLOATS), binary(b"](" + short("0") + b"e"), tail=struct.pack("<q", 1) + bytes(4))
READ = glob("torch.storage", "_load_from_bytes")
NAMED = short("class_name") + doubled(40) + short("state") + b"}"
AGAIN = {
    "text encoded": repeated(
        long_text(1 << 20), glob("_codecs", "encode") + b"h\x00" + short("latin1") + b"\x86R", 500
    ),
    "sets": repeated(b"](" + numbers(60_000) + b"e", glob("builtins", "set") + b"h\x00\x85R", 2000),
    "dictionaries": repeated(
        b"](" + b"".join(b"M" + struct.pack("<H", i) + b"N\x86" for i in range(30_000)) + b"e",
        glob("collections", "OrderedDict") + b"h\x00\x85R",
        2000,
    ),
    "tensors": repeated(b"B" + struct.pack("<I", len(STORAGE)) + STORAGE, READ + b"h\x00\x85R", 60_000),
    "colliding keys": binary(b"}(" + multiples(60_000) + b"u"),
    "class name": binary(b"}" + short("G_ema") + module(NAMED) + b"s"),
    "function name": network_graph(1, 0).replace(short("G_main"), doubled(40)),
    "components": network_graph(6, 8),
    "components, many": network_graph(2, 200),
}


def refused(path):
    start = time.process_time()
    with grows_by_less_than(MEGABYTES), pytest.raises(UserError) as error:
        load_network(path)
    assert time.process_time() - start < SECONDS, error.value
    message = str(error.value)
    assert message.isprintable() and len(message) < 900, ascii(message)
    return message


@pytest.mark.parametrize("name", AGAIN)
def test_the_same_data_again_and_again(tmp_path, name):
    path = tmp_path / "net.pkl"
    path.write_bytes(AGAIN[name])
    refused(path)


def native(tmp_path, change, text=None):
    """A native file whose header says something else of G."""
    path = save_network(tmp_path / "good.safetensors", G_ema=random_networks(**SQUARE)["G_ema"])
    networks = load_network(path)
    config = {**networks.meta["architecture"]["G"], **change}
    header = json.dumps({"format_version": 1, "architecture": {"G": config}}) if text is None else text
    tensors = {f"G_ema.{key}": value for key, value in networks.G_ema.state_dict().items()}
    save_file(tensors, tmp_path / "net.safetensors", metadata={"caricature": header})
    return tmp_path / "net.safetensors"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_mapping_layers": 10**9}, "num_mapping_layers=1000000000, which cannot be"),
        ({"z_dim": 10**9}, "z_dim=1000000000, which cannot be"),
        ({"z_dim": -2}, "z_dim=-2"),
        ({"c_dim": 10**6}, "c_dim=1000000"),
        ({"conv_clamp": float("inf")}, "conv_clamp=inf"),
        ({"mapping_lr_multiplier": 0}, "mapping_lr_multiplier=0"),
        ({"channels": {"4": 0, "8": 8}}, "channels=a dict"),
        ({"resolution": 1 << 20}, "resolution=1048576"),
        ({"architecture": "magic"}, "architecture cannot be built"),
        ({"evil\x1b[31m\n": 1}, "which this version does not know"),
        ({"w_dim": 60000}, "do not match"),
    ],
)
def test_an_absurd_header(tmp_path, change, words):
    assert words in refused(native(tmp_path, change))


def test_a_header_without_end(tmp_path):
    refused(native(tmp_path, {}, text="[" * 200_000))


def test_tensors_that_share_their_memory_are_not_multiplied(tmp_path):
    """60 layers of one megabyte of data: they would take 60 megabytes more than there are in the file."""
    shared = torch.zeros([512, 512], dtype=torch.float16)
    networks = random_networks(**{**SQUARE, "z_dim": 512, "w_dim": 512})
    state = {key: value.half() for key, value in networks["G_ema"].state_dict().items()}
    for i in range(60):
        state |= {f"mapping.fc{i}.weight": shared, f"mapping.fc{i}.bias": shared[0]}
    for key in list(state):
        if key.endswith("affine.weight"):
            state[key] = shared[: state[key].shape[0]]
    torch.save({"G_ema": state, "G": state}, tmp_path / "net.pt")
    assert "many times larger than the file" in refused(tmp_path / "net.pt")


def test_weights_that_are_no_real_numbers(tmp_path):
    state = {key: value.to(torch.int32) for key, value in random_networks(**SQUARE)["G_ema"].state_dict().items()}
    torch.save({"G_ema": state}, tmp_path / "net.pt")
    assert "of int32, not of real numbers" in refused(tmp_path / "net.pt")


def test_names_with_control_characters_are_shown_plainly(tmp_path):
    path = tmp_path / "net.pkl"
    networks = random_networks(**SQUARE)
    evil = "8x8/\n\x1b[31mToRGB"
    path.write_bytes(tensorflow_pickle(networks, rename=lambda key: key.replace("8x8/Conv1", evil)))
    refused(path)
    value = torch.load(io.BytesIO(rosinality_checkpoint(networks, training=False)))
    value["g_ema"]["evil\n\x1b[31m"] = torch.zeros(1)
    torch.save(value, tmp_path / "net.pt")
    assert "unexpected evil" in refused(tmp_path / "net.pt")
    path.write_bytes(nvlabs_pickle(networks, classes="Gen\x1b[31m\nerator"))
    refused(path)
