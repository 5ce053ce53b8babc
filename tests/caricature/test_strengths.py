"""`strength={NAME:NUMBER}`: any file's name names its faces, as it is written."""

import re

import pytest

from src.caricature.settings import CaricatureSettings
from src.cli import compose_config
from src.errors import UserError
from src.options import read


def strengths(text, names):
    """As from the command line."""
    config = compose_config("caricature", ["photos=x", f"strength={text}"])
    return read(CaricatureSettings, config).strengths(names)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{1:0.5}", "1"),
        ("{20240601_1:0.5}", "20240601_1"),
        ("{1e5:0.5}", "1e5"),
        ("{true:0.5}", "true"),
        ("{Müller:0.5}", "Müller"),
        ('{"Jürgen im Urlaub":0.5}', "Jürgen im Urlaub"),
        ("{Jürgen im Urlaub: 0.5}", "Jürgen im Urlaub"),
        ("{'person-00':0.5}", "person-00"),
        ("{a(1):0.5}", "a(1)"),
        ("{'a, b':0.5}", "a, b"),
        ("{a:b:0.5}", "a:b"),
        ("{it's:0.5}", "it's"),
        ("{${x}:0.5}", "${x}"),
    ],
)
def test_a_strength_names_its_face(text, name):
    assert strengths(text, [name, "other"]) == [0.5, 1.0]
    assert strengths(text.replace("}", ", default:0.25}") if "$" not in text else text, [name])[0] == 0.5


def test_several_names_numbers_and_lists():
    assert strengths("{1:0,2:1.5,default:0.5}", ["1", "2", "3"]) == [0, 1.5, 0.5]
    assert strengths("0.7", ["1", "2"]) == [0.7, 0.7]
    assert strengths("[0,1.5]", ["1", "2"]) == [0, 1.5]
    assert CaricatureSettings(photos="x", strength={"a": 0.5}).strengths(["a", "b"]) == [0.5, 1.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{3:0.5}", "strength={3: …}: there is no such face; faces are 1, 2"),
        ("{1:0.5,1:1}", "strength={1:0.5,1:1}: 1 stands in it twice"),
        ("{1:2}", "strength={1:2}: give a number from 0 to 1.5 (0 is no caricature, 1 the blend)"),
        ("{1:much}", "strength={1:much}: give a number from 0"),
        ("{1:nan}", "strength={1:nan}: give a number from 0"),
        ("{1}", "give names and numbers such as {anna:0.5,default:1}"),
        ("{:1}", "give names and numbers such as"),
        ("{1:0.5", "the closing } is missing"),
    ],
)
def test_wrong_strengths_are_one_line(text, words):
    with pytest.raises(UserError, match=re.escape(words)) as error:
        strengths(text, ["1", "2"])
    assert "\n" not in str(error.value)
