"""Makes an assembly the same bytes whenever it is the same code: mcs writes the time of the build and a random module id (MVID)
into it and has no option that does not. The time becomes 0, the id a hash of the rest. ECMA-335, II.24 and II.25."""

import hashlib
import pathlib
import struct
import sys


def number(data, at, size=4):
    return int.from_bytes(data[at:at + size], "little")


def offset_of(data, header, address):
    """Where in the file an address of the image is."""
    sections = header + 24 + number(data, header + 20, 2)
    for section in range(sections, sections + 40 * number(data, header + 6, 2), 40):
        start = number(data, section + 12)
        if start <= address < start + number(data, section + 16):
            return number(data, section + 20) + address - start
    raise SystemExit("no section has the address")


def guids(data, header):
    """Offset and size of the stream #GUID, whose first entry is the MVID."""
    optional = header + 24
    directories = optional + (112 if number(data, optional, 2) == 0x20B else 96)
    runtime = offset_of(data, header, number(data, directories + 14 * 8))
    metadata = offset_of(data, header, number(data, runtime + 8))
    at = metadata + 16 + number(data, metadata + 12)
    streams, at = number(data, at + 2, 2), at + 4
    for _ in range(streams):
        name = bytes(data[at + 8:data.index(b"\0", at + 8)])
        if name == b"#GUID":
            return metadata + number(data, at), number(data, at + 4)
        at += 8 + (len(name) + 4) // 4 * 4
    raise SystemExit("no stream #GUID")


def main(path):
    data = bytearray(path.read_bytes())
    header = number(data, 0x3C)
    if data[header:header + 4] != b"PE\0\0":
        raise SystemExit(f"{path} is no assembly")
    struct.pack_into("<I", data, header + 8, 0)
    at, size = guids(data, header)
    if size != 16:
        raise SystemExit(f"{size // 16} module ids")
    data[at:at + 16] = bytes(16)
    data[at:at + 16] = hashlib.sha256(data).digest()[:16]
    path.write_bytes(data)


main(pathlib.Path(sys.argv[1]))
