"""It is compressed, and no more."""

import base64
import struct
import zlib


def recover(seen: dict[str, str]) -> list[int]:
    return [round(number) for number in struct.unpack("<8f", zlib.decompress(base64.b64decode(seen["message"])))]
