"""`tf.train.Example` messages, read and written without TensorFlow: protobuf's parser with their description.

Example  { Features features = 1 }          Feature { oneof: BytesList = 1, FloatList = 2, Int64List = 3 }
Features { map<string, Feature> feature = 1 }         each list { repeated value = 1 }
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_PACKAGE = "tf_example"


class NotAnExample(Exception):
    """Bytes that are no such message; the message is the reason."""


def parse_example(data: bytes) -> dict[str, list[bytes] | list[int] | None]:
    """Parse an Example: each feature by name, as byte strings or whole numbers; None for floats and an empty one.

    What is something else is NotAnExample.
    """
    try:
        example = _example_class().FromString(data)
    except message.DecodeError as error:
        raise NotAnExample("damaged, or another message") from error
    return {name: _values(feature) for name, feature in example.features.feature.items()}


def encode_example(features: Mapping[str, bytes | Sequence[int]]) -> bytes:
    """Encode an Example whose features are each one byte string, or whole numbers; the same bytes every time."""
    example = _example_class()()
    for name, value in features.items():
        feature = example.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        else:
            feature.int64_list.value.extend(value)
    encoded: bytes = example.SerializeToString(deterministic=True)
    return encoded


def _values(feature: Any) -> list[bytes] | list[int] | None:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind in ("bytes_list", "int64_list") else None


@cache
def _example_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    feature = file.message_type.add(name="Feature")
    feature.oneof_decl.add(name="kind")
    for number, (name, of) in enumerate((("Bytes", "BYTES"), ("Float", "FLOAT"), ("Int64", "INT64")), 1):
        _field(file.message_type.add(name=f"{name}List"), "value", 1, of, repeated=True)
        _field(feature, f"{name.lower()}_list", number, f"{name}List").oneof_index = 0
    features = file.message_type.add(name="Features")
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    _field(entry, "key", 1, "STRING")
    _field(entry, "value", 2, "Feature")
    _field(features, "feature", 1, "Features.FeatureEntry", repeated=True)
    _field(file.message_type.add(name="Example"), "features", 1, "Features")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Example"))


def _field(owner: Any, name: str, number: int, of: str, *, repeated: bool = False) -> Any:
    """Add a field of a type of protobuf's (in capitals) or of a message."""
    kinds, whose = descriptor_pb2.FieldDescriptorProto, None if of.isupper() else f".{_PACKAGE}.{of}"
    label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
    kind = kinds.Type.Value(f"TYPE_{'MESSAGE' if whose else of}")
    return owner.field.add(name=name, number=number, label=label, type=kind, type_name=whose)
