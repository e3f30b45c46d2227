"""What remote write sends, read without any of the daemon's code: a snappy block, and a WriteRequest of protobuf in it."""

import struct
from collections import namedtuple

STALE = 0x7FF0000000000002

Sample = namedtuple("Sample", "labels value bits ms")  # labels: pairs in their order


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def unpack(block):
    """A snappy block's content: literals, and copies of what came before."""
    size, at = read_varint(block, 0)
    out = bytearray()
    while at < len(block):
        tag = block[at]
        at += 1
        if tag & 3 == 0:
            length = (tag >> 2) + 1
            if length > 60:
                more = length - 60
                length = int.from_bytes(block[at:at + more], "little") + 1
                at += more
            out += block[at:at + length]
            at += length
            continue
        if tag & 3 == 1:
            length, offset = (tag >> 2 & 7) + 4, (tag >> 5) << 8 | block[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length, offset = (tag >> 2) + 1, int.from_bytes(block[at:at + width], "little")
            at += width
        assert 0 < offset <= len(out), (offset, len(out))
        for _ in range(length):
            out.append(out[-offset])
    assert len(out) == size, (len(out), size)
    return bytes(out)


def fields(data):
    """(number, value) of each field of a message; an 8 byte value as its bits."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = read_varint(data, at)
        elif kind == 1:
            value, at = int.from_bytes(data[at:at + 8], "little"), at + 8
        else:
            assert kind == 2, kind
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
            assert len(value) == size
        yield tag >> 3, value


def samples(body):
    """Those of one request."""
    found = []
    for number, series in fields(unpack(body)):
        assert number == 1, number
        labels, values = [], []
        for inner, part in fields(series):
            parts = list(fields(part))
            assert [n for n, _ in parts] == [1, 2], parts
            if inner == 1:
                labels.append(tuple(text.decode() for _, text in parts))
            else:
                values.append(tuple(value for _, value in parts))
        assert labels == sorted(labels) and len(dict(labels)) == len(labels) and all(v for _, v in labels), labels
        for bits, ms in values:
            found.append(Sample(tuple(labels), struct.unpack("<d", struct.pack("<Q", bits))[0], bits, ms))
    return found
