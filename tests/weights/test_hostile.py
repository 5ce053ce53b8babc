"""Files that want to do harm, or are damaged: one clear line, nothing executed, no hang, no memory."""

import io
import os
import pickle
import random
import struct
import time
import zipfile

import numpy as np
import pytest
import torch

from src.errors import UserError
from src.weights import load_network, save_network

from ..memory import grows_by_less_than
from .foreign import nvlabs_pickle, random_networks, rosinality_checkpoint, tensorflow_pickle

SQUARE = {"z_dim": 8, "w_dim": 8, "num_mapping_layers": 2, "resolution": 8}
FUZZ = int(os.environ.get("FUZZ", "600"))  # mutated files; the long run is FUZZ=20000
SECONDS = 5


class Call:
    """Pickles as a call of `function` with `args`."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def text(name, argument="'touch executed'"):
    """A call in protocol 0."""
    module, function = name.rsplit(".", 1)
    return f"c{module}\n{function}\n(S{argument}\ntR.".encode()


def binary(*parts):
    return b"\x80\x04" + b"".join(parts) + b"."


def short(word):
    return b"\x8c" + bytes([len(word)]) + word.encode()


def glob(module, name):
    return short(module) + short(name) + b"\x93"


def zipped(pickled, *, compress=zipfile.ZIP_STORED, entries=()):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as archive:
        archive.writestr("archive/data.pkl", pickled)
        for name, data in entries:
            archive.writestr(name, data)
    return file.getvalue()


def legacy(*pickles, tail=b""):
    head = [pickle.dumps(v, protocol=2) for v in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    return b"".join([*head, *pickles]) + tail


def embedded(data):
    """A tensor file inside of a pickle, as NVIDIA's files have it."""
    return binary(glob("torch.storage", "_load_from_bytes"), b"B", struct.pack("<I", len(data)), data, b"\x85R")


STORAGE = b"(" + short("storage") + glob("torch", "FloatStorage") + short("0") + short("cpu") + b"J%st"
HUGE = struct.pack("<i", 2**31 - 1)
SYSTEM = pickle.dumps(Call(os.system, "touch executed"))

HOSTILE = {
    "os.system": SYSTEM,
    "eval": pickle.dumps(Call(eval, "open('executed', 'w')")),
    "exec, protocol 0": text("builtins.exec", "\"open('executed', 'w')\""),
    "eval, Python 2's name": text("__builtin__.eval"),
    "os.system, protocol 0": text("posix.system"),
    "subprocess": text("subprocess.check_output"),
    "INST": b"(S'touch executed'\nios\nsystem\n.",
    "OBJ": b"(cos\nsystem\nS'touch executed'\no.",
    "getattr": binary(glob("builtins", "getattr"), glob("os", "system"), short("x"), b"\x86R"),
    "dotted name": binary(glob("torch._utils", "_rebuild_tensor_v2.__globals__"), b")R"),
    "name with a space": binary(glob("torch", "FloatStorage os.system"), b")R"),
    "name that is a number": binary(b"K\x01", short("system"), b"\x93)R"),
    "allowed module, other name": binary(glob("torch.storage", "os"), b")R"),
    "numpy's loader": binary(glob("numpy", "load"), short("x"), b"\x85R"),
    "torch.load": binary(glob("torch", "load"), short("x"), b"\x85R"),
    "codecs decode": binary(glob("_codecs", "decode"), short("x"), short("zip"), b"\x86R"),
    "codecs encode to rot13": binary(glob("_codecs", "encode"), short("x"), short("rot13"), b"\x86R"),
    "runpy": binary(glob("runpy", "run_path"), short("x"), b"\x85R"),
    "copyreg extension": b"\x80\x02\x82\x01.",
    "persistent id in a plain pickle": binary(short("x"), b"Q"),
    "persistent id, protocol 0": b"Pos.system\n.",
    "out-of-band buffer": b"\x80\x05\x97.",
    "module source in a persistent class": nvlabs_pickle(random_networks(**SQUARE), classes="x; import os"),
    "call of a call": binary(glob("collections", "OrderedDict"), b")R", b")R"),
    "call of a list": binary(b"]", b")R"),
    "state for a list": binary(b"]", b"}b"),
    "state with __class__": binary(glob("dnnlib.tflib.network", "Network"), b")\x81", b"}", short("__class__"), b"Nsb"),
    "call inside of a torch zip": zipped(SYSTEM),
    "call inside of an old torch file": legacy(SYSTEM),
    "call inside of a tensor inside of a pickle": embedded(legacy(SYSTEM)),
    "pickle inside of a pickle inside of a pickle": embedded(embedded(embedded(SYSTEM))),
    "zip inside of a pickle": embedded(zipped(SYSTEM)),
    "zip bomb": zipped(bytes(1 << 24), compress=zipfile.ZIP_DEFLATED),
    "zip bomb beside": zipped(
        pickle.dumps({}), compress=zipfile.ZIP_DEFLATED, entries=[("archive/data/0", bytes(1 << 24))]
    ),
    "zip without a pickle": zipped(b"", entries=[("x", b"y")])[:60],
    "zip with two pickles": zipped(pickle.dumps({}), entries=[("other/data.pkl", pickle.dumps({}))]),
    "zip of another program": zipped(b"").replace(b"data.pkl", b"word.xml"),
    "zip entry path outside": zipped(pickle.dumps({}), entries=[("../../executed", b"x")]),
    "bytes of absurd length": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.",
    "text of absurd length": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.",
    "bytearray of absurd length": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b"x.",
    "number of absurd length": b"\x80\x04\x8b" + HUGE + b"x.",
    "number of absurd length, text": b"I" + b"9" * 4000 + b"\n.",
    "memo of absurd index": b"\x80\x04Nr\xff\xff\xff\xff.",
    "negative length": b"\x80\x04T\xff\xff\xff\xff.",
    "frame of absurd length": b"\x80\x04\x95" + struct.pack("<Q", 2**62) + b"N.",
    "array of absurd shape": binary(
        glob("numpy.core.numeric", "_frombuffer"), b"(C\x04abcd", glob("numpy", "dtype"), short("f4"),
        b"\x89\x88\x87R", b"J" + HUGE, b"J" + HUGE, b"\x86", short("C"), b"tR",
    ),
    "tensor of absurd shape": legacy(
        binary(glob("torch._utils", "_rebuild_tensor_v2"), b"(", STORAGE % HUGE, b"QK\x00", b"J" + HUGE, b"J" + HUGE,
               b"\x86K\x00K\x00\x86\x89NtR"),
        pickle.dumps(["0"], protocol=2),
        tail=struct.pack("<q", 1) + b"abcd",
    ),
    "object array": binary(glob("numpy", "dtype"), short("O8"), b"\x89\x88\x87R"),
    "deep lists": b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b".",
    "deep tuples": b"\x80\x04)" + b"\x85" * 500_000 + b".",
    "deep tuple as a key": b"\x80\x04})" + b"2\x86" * 60 + b"Ns.",
    "deep tuple in a set": b"\x80\x04\x8f()" + b"2\x86" * 60 + b"\x90.",
    "list in itself": b"\x80\x04]\x94h\x00a.",
    "dictionary in itself": binary(b"}\x94", short("G_ema"), b"h\x00s"),
    "module in itself": binary(
        b"}", short("G_ema"), glob("torch_utils.persistence", "_reconstruct_persistent_obj"), b"}(",
        short("class_name"), short("Generator"), short("state"), b"}", short("_modules"), b"}\x94s", b"u\x85R\x94",
        b"sh\x00", short("child"), b"h\x01s0",
    ),
    "opcodes without end": b"\x80\x04" + b"N0" * 2_000_000 + b".",
    "many empty dictionaries": b"\x80\x04(" + b"}" * 3_000_000 + b"t.",
    "no STOP": b"\x80\x04N",
    "STOP at once": b"\x80\x04.",
    "only marks": b"\x80\x04((((.",
    "empty": b"",
    "one byte": b"\x80",
    "text": b"this is not a network\n" * 10,
    "web page": b"<!DOCTYPE html><html><body>Quota exceeded</body></html>",
    "git lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 300\n",
    "safetensors header of absurd length": struct.pack("<Q", 2**62) + b"{}",
    "safetensors of another program": struct.pack("<Q", 2) + b"{}",
    "half a zip": zipped(pickle.dumps({"g_ema": {}}))[:50],
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "lambda by marshal": binary(glob("marshal", "loads"), b"C\x01x", b"\x85R"),
}  # fmt: skip


def refused(path, words=""):
    """Loading gives one short line, quickly, and nothing else."""
    start = time.process_time()
    with pytest.raises(UserError) as error:
        load_network(path)
    message = str(error.value)
    assert time.process_time() - start < SECONDS, message
    assert message.startswith(str(path)) and "\n" not in message and len(message) < 700, message
    assert message.isprintable(), ascii(message)
    assert words in message
    return message


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder of its own, in which no file may appear that the test did not write."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    assert not (tmp_path / "executed").exists(), "the file's code ran"


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused(desk, name, monkeypatch):
    monkeypatch.setattr(os, "system", lambda *a: pytest.fail("executed"))
    path = desk / "network.pkl"
    path.write_bytes(HOSTILE[name])
    with grows_by_less_than(700):
        refused(path)


def test_the_message_names_what_the_file_wanted(desk):
    path = desk / "network.pkl"
    path.write_bytes(SYSTEM)
    refused(path, "it wants to build posix.system, which no network file needs; nothing was executed")


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    """One small good file of each family."""
    networks = random_networks(**SQUARE)
    native = save_network(tmp_path_factory.mktemp("good") / "n.safetensors", G_ema=networks["G_ema"], D=networks["D"])
    return {
        "tf.pkl": tensorflow_pickle(networks),
        "ada.pkl": nvlabs_pickle(networks),
        "ada3.pkl": nvlabs_pickle(networks, protocol=3),
        "ros.pt": rosinality_checkpoint(networks),
        "old.pt": rosinality_checkpoint(networks, legacy=True),
        "own.safetensors": native.read_bytes(),
    }


@pytest.mark.parametrize("cut", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused(desk, families, cut):
    for name, data in families.items():
        (desk / name).write_bytes(data[: int(len(data) * cut)])
        refused(desk / name)


def mutate(data, rng):
    """Change a file in one of the ways that find bugs in readers; structure is hit more often than numbers."""
    data, kind = bytearray(data), rng.randrange(7)
    place = rng.randrange(len(data)) if rng.random() < 0.3 else rng.choice(structure(bytes(data)))
    if kind == 0:
        data[place] = rng.randrange(256)
    elif kind == 1:
        data[place] ^= 1 << rng.randrange(8)
    elif kind == 2:
        del data[place : place + rng.randrange(1, 40)]
    elif kind == 3:
        data[place:place] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 20)))
    elif kind == 4:
        data[place : place + 8] = struct.pack("<Q", rng.choice([0, 2**31 - 1, 2**32 - 1, 2**62, 2**64 - 1]))
    elif kind == 5:
        other = rng.randrange(len(data))
        data[place : place + 16] = data[other : other + 16]
    else:
        for _ in range(20):
            data[rng.randrange(len(data))] = rng.choice(b"(.0RbcQ\x81\x85\x93\x94hjrst}]u\xff\x00")
    return bytes(data)


STRUCTURE = {}


def structure(data):
    """Places outside of long runs of tensor data: text, opcodes, shapes."""
    if len(data) not in STRUCTURE:
        values = np.frombuffer(data, np.uint8)
        is_text = (values >= 32) & (values < 127)
        STRUCTURE[len(data)] = np.flatnonzero(is_text[:-1] & is_text[1:]).tolist()
    return STRUCTURE[len(data)]


def test_mutated_files_load_or_are_refused(desk, families, monkeypatch):
    """No exception but UserError, no hang, nothing executed; a change of mere numbers may load."""
    monkeypatch.setattr(os, "system", lambda *a: pytest.fail("executed"))
    rng = random.Random(0)
    names = list(families)
    outcomes = {"loaded": 0, "refused": 0}
    path = desk / "mutated"
    for i in range(FUZZ):
        name = names[i % len(names)]
        path.write_bytes(mutate(families[name], rng))
        start = time.process_time()
        try:
            load_network(path)
            outcomes["loaded"] += 1
        except UserError as error:
            assert "\n" not in str(error) and len(str(error)) < 1200, (i, name, error)
            outcomes["refused"] += 1
        assert time.process_time() - start < SECONDS, (i, name)
    assert min(outcomes.values()) > FUZZ // 20, outcomes
    print(outcomes)


def test_tensors_may_not_reach_outside_of_their_data(desk):
    """Offset, shape and stride are the file's; what they cover must be there."""
    whole = torch.arange(64.0)
    file = io.BytesIO()
    torch.save({"g_ema": {"conv1.conv.weight": whole.view(1, 2, 2, 4, 4)}}, file)
    data = file.getvalue()
    shape = b"(K\x01K\x02K\x02K\x04K\x04t"
    assert data.count(shape) == 1
    (desk / "net.pt").write_bytes(data.replace(shape, b"(K\x01K\x02K\x02K\x04K\x05t"))
    refused(desk / "net.pt", "reaches outside of its data")
