"""Telling pickles, archives and programs by their bytes, for a refusal that says what a file is."""

from __future__ import annotations

import os
import pickletools
import re
from typing import BinaryIO

HEAD = 64 << 10
ZIP_END = b"PK\x05\x06"
ZIP_END_SIZE = 22  # bytes of the record that ends a zip, without its comment
MAGIC = {
    b"PK\x03\x04": "a zip archive (torch.save writes one)",
    b"PK\x05\x06": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an xz archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"Rar!\x1a\x07": "a rar archive",
    b"\x7fELF": "a program (ELF)",
    b"MZ": "a program (PE)",
    b"\xca\xfe\xba\xbe": "a program (Mach-O or Java)",
    b"\xcf\xfa\xed\xfe": "a program (Mach-O)",
    b"#!": "a script",
    b"\x89HDF\r\n": "HDF5, which can hold code",
}


class Refused(Exception):
    """Why a file's content is not accepted; check_file turns it into WeightsRefused."""


def looks_like(file: BinaryIO) -> str:
    """Say what unsafe thing a file looks like, or return an empty string."""
    file.seek(0)
    head = file.read(HEAD)
    for magic, name in MAGIC.items():
        if head.startswith(magic) and not (magic in (b"MZ", b"BZh") and _is_text(head)):
            return name
    if head[257:262] == b"ustar" or (len(head) >= 512 and _is_old_tar(head[:512])):
        return "a tar archive"
    if _is_pickle(head):
        return "a pickle"
    if ends_as_zip(file):
        return "a zip archive behind other bytes"
    return ""


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and all(byte >= 32 or byte in b"\t\r\n" for byte in head)


def _is_old_tar(header: bytes) -> bool:
    field = header[148:156].strip(b" \0")
    if not re.fullmatch(b"[0-7]{1,7}", field):
        return False
    return int(field, 8) == sum(header) - sum(header[148:156]) + 8 * 32


def _is_pickle(head: bytes) -> bool:
    """Walk the pickle's instructions without running them.

    Protocol 2 and later begin with 0x80 and the protocol. Older ones are told by what makes them dangerous: an
    import of a name, in a stream that is well formed up to there.
    """
    if re.match(rb"\x80[\x02-\x05]", head):
        return True
    try:
        for opcode, argument, _ in pickletools.genops(head):
            if opcode.name in ("GLOBAL", "INST") and re.fullmatch(r"[A-Za-z_][\w.]* [A-Za-z_][\w.]*", str(argument)):
                return True
    except Exception:  # whatever is not a pickle ends in one of many errors
        return False
    return False


def ends_as_zip(file: BinaryIO) -> bool:
    """Say whether the end record of a zip, with a comment of the right length, ends the file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - HEAD - ZIP_END_SIZE))
    tail = file.read()
    at = tail.rfind(ZIP_END)
    while at >= 0:
        comment = int.from_bytes(tail[at + 20 : at + ZIP_END_SIZE], "little")
        if at + ZIP_END_SIZE + comment == len(tail):
            return True
        at = tail.rfind(ZIP_END, 0, at)
    return False
