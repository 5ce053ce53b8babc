"""`tf.train.Example` messages in protobuf's wire format, read and written without TensorFlow.

    Example  { Features features = 1 }          Feature { oneof: BytesList = 1, FloatList = 2, Int64List = 3 }
    Features { map<string, Feature> feature = 1 }         each list { repeated value = 1 }

A map is a repeated message of key = 1 and value = 2; numbers may be packed in one field or stand one by one.
"""

from collections.abc import Iterator, Mapping, Sequence

VARINT, FIXED64, DELIMITED, FIXED32 = 0, 1, 2, 5
_FIXED = {FIXED64: 8, FIXED32: 4}
MAX_FEATURES = 1000
MAX_NUMBERS = 100_000

Value = bytes | memoryview | Sequence[int]


class NotAnExample(Exception):
    """Bytes that are no such message; the message is the reason."""


def parse_example(data: bytes | memoryview) -> dict[str, list[memoryview] | list[int] | None]:
    """Parse an Example.

    Args:
        data: the message.

    Returns:
        Each feature by name: a list of byte views into `data`, a list of whole numbers, or None for a list of floats
        or an empty feature.

    Raises:
        NotAnExample: when it is something else.
    """
    features: dict[str, list[memoryview] | list[int] | None] = {}
    for field, value in _fields(memoryview(data)):
        if field == 1:
            for inner, entry in _fields(_message(value)):
                if inner == 1:
                    name, feature = _map_entry(_message(entry))
                    features[name] = feature
                    if len(features) > MAX_FEATURES:
                        raise NotAnExample(f"more than {MAX_FEATURES} features")
    return features


def encode_example(features: Mapping[str, Value]) -> bytes:
    """Encode an Example whose features are each one byte string, or whole numbers from 0 up."""
    entries = []
    for name, value in features.items():
        if isinstance(value, bytes | memoryview):
            feature = _field(1, _field(1, value))
        else:
            feature = _field(3, _field(1, b"".join(_varint(number) for number in value)))
        entries.append(_field(1, _field(1, name.encode()) + _field(2, feature)))
    return _field(1, b"".join(entries))


def _map_entry(data: memoryview) -> tuple[str, list[memoryview] | list[int] | None]:
    name, feature = "", None
    for field, value in _fields(data):
        if field == 1:
            try:
                name = bytes(_message(value)).decode()
            except UnicodeDecodeError as error:
                raise NotAnExample("a feature's name is not text") from error
        elif field == 2:
            feature = _feature(_message(value))
    return name, feature


def _feature(data: memoryview) -> list[memoryview] | list[int] | None:
    result: list[memoryview] | list[int] | None = None
    for field, value in _fields(data):
        if field == 1:
            result = [_message(item) for inner, item in _fields(_message(value)) if inner == 1]
        elif field == 3:
            result = _numbers(_message(value))
        else:
            result = None
    return result


def _numbers(data: memoryview) -> list[int]:
    numbers: list[int] = []
    for field, value in _fields(data):
        if field != 1:
            continue
        if isinstance(value, int):
            numbers.append(_signed(value))
            continue
        position = 0
        while position < len(value):
            number, position = _read_varint(value, position)
            numbers.append(_signed(number))
            if len(numbers) > MAX_NUMBERS:
                raise NotAnExample(f"a list of more than {MAX_NUMBERS} numbers")
    return numbers


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Fields of one message: number, and a whole number (varint) or a view of bytes (all other wire types)."""
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        field, wire = tag >> 3, tag & 7
        if field == 0:
            raise NotAnExample("a field without a number")
        if wire == VARINT:
            value, position = _read_varint(data, position)
            yield field, value
            continue
        if wire == DELIMITED:
            length, position = _read_varint(data, position)
        elif wire in _FIXED:
            length = _FIXED[wire]
        else:
            raise NotAnExample(f"a field of wire type {wire}")
        if length > len(data) - position:
            raise NotAnExample("a field that reaches beyond the end")
        yield field, data[position : position + length]
        position += length


def _read_varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise NotAnExample("a number that is cut off")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
    raise NotAnExample("a number of more than ten bytes")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise NotAnExample("a number where a message belongs")
    return value


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _field(number: int, data: bytes | memoryview) -> bytes:
    return b"".join((_varint(number << 3 | DELIMITED), _varint(len(data)), data))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
