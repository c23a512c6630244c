"""What supervisord reads, and what the launcher reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from sacristy.errors import InvalidProgram
from sacristy.supervision.program import Program, daemon_text, detail_text, read_detail, section_text
from sacristy.supervision.rpc import SOCKET_PATH_LIMIT, socket_path

PROGRAM = Program(
    "digits-staging-1", ("/bin/x", "a b", "%(x)s ;#"), Path("/f"), Path("/l.log"), {"A": "'\"\n"}, order=7
)


def test_a_program_survives_its_file() -> None:
    assert read_detail(detail_text(PROGRAM)) == PROGRAM


def test_supervisord_sees_neither_arguments_nor_environment() -> None:
    text = section_text(PROGRAM, Path("/home/x/run/programs/digits-staging-1.json"))
    assert "a b" not in text
    assert "[program:digits-staging-1]\n" in text
    assert "priority = 7\n" in text
    assert "autorestart = true\n" in text


@pytest.mark.parametrize("folder", ["/a\nb", "/a ;b", "/a #b", "/100%"])
def test_a_path_that_supervisord_would_misread_is_refused(folder: str) -> None:
    with pytest.raises(InvalidProgram):
        daemon_text(Path(folder), Path("/s"), Path("/l"))


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".hidden", "a\n[x]", "A", "a:b", "ä"])
def test_a_name_that_is_no_plain_word_is_refused(name: str) -> None:
    with pytest.raises(InvalidProgram):
        Program(name, (), Path(), Path())


def test_a_long_home_puts_the_socket_into_a_short_folder_of_its_own() -> None:
    long, other = Path("/" + "a" * 120), Path("/" + "a" * 121)
    assert socket_path(Path("/short")) == Path("/short/supervisor.sock")
    assert len(str(socket_path(long))) <= SOCKET_PATH_LIMIT
    assert socket_path(long).parent != socket_path(other).parent
