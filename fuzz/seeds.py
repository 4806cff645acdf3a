#!/usr/bin/env python3
"""Writes the golden vectors of obtrace-protocols as first inputs of the fuzz targets: fuzz/corpus/<target>/.

The forms are those that `checks.rs` reads.
"""

import hashlib
import pathlib
import re
import tomllib

HERE = pathlib.Path(__file__).resolve().parent
VECTORS = HERE.parent / "obtrace-protocols" / "testdata"
# The protocols in the order of `PROTOCOLS` in checks.rs: a connection's hint is its place.
PROTOCOLS = ["http", "postgres", "redis", "dns"]
PIECE = 255
CLOSE = 0xFE
LONGEST = 64 << 10


def unescape(text):
    plain = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", "\\": b"\\"}

    def one(found):
        escape = found.group(1).decode()
        return bytes([int(escape[1:], 16)]) if escape[0] == "x" else plain[escape]

    return re.sub(rb"\\(x[0-9a-fA-F]{2}|[rnt0\\])", one, text.encode())


def turns(vector, folder):
    """The steps with bytes or gaps: (index of the side, bytes or the length of a gap)."""
    for step in vector["steps"]:
        for index, side in enumerate(("client", "server")):
            if side in step:
                data = unescape(step[side])
            elif f"{side}_hex" in step:
                data = bytes.fromhex(step[f"{side}_hex"])
            elif f"{side}_file" in step:
                data = (folder / step[f"{side}_file"]).read_bytes()
            elif f"{side}_gap" in step:
                yield index, step[f"{side}_gap"]
                continue
            else:
                continue
            yield index, (data * step.get("repeat", 1))[:LONGEST]


def pieces(data):
    return (data[at : at + PIECE] for at in range(0, len(data), PIECE))


def conversation(steps):
    return b"".join(bytes([index, len(p)]) + p for index, data in steps if isinstance(data, bytes) for p in pieces(data))


def connection(steps, vector, hint):
    role = {"client": 1, "server": 2}.get(vector.get("role", "client"), 0)
    operation = 5 << 1 if vector.get("transport") == "datagram" else 0
    out = bytearray([role | hint << 2])
    for index, data in steps:
        if isinstance(data, int):
            out += bytes([4 << 1 | index, min(data, 255)])
        else:
            for piece in pieces(data):
                out += bytes([operation | index, len(piece)]) + piece
    return bytes(out + bytes([CLOSE]))


def detection(steps):
    sides = [b"".join(d for i, d in steps if i == index and isinstance(d, bytes)) for index in (0, 1)]
    sent = sides[0][:PIECE]
    return bytes([len(sent)]) + sent + sides[1][:PIECE]


def keep(target, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)


def main():
    count = 0
    for hint, protocol in enumerate(PROTOCOLS):
        for path in sorted((VECTORS / protocol).glob("*.toml")):
            for vector in tomllib.loads(path.read_text())["vector"]:
                steps = list(turns(vector, path.parent))
                keep(protocol, conversation(steps))
                keep("connection", connection(steps, vector, hint))
                keep("detect", detection(steps))
                count += 1
    print(f"{count} vectors written as inputs of {len(PROTOCOLS) + 2} fuzz targets")


if __name__ == "__main__":
    main()
