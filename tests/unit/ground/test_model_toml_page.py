"""docs/how-to/model-toml.md lists every key of model.toml as the schema has it, so it cannot go stale."""

import tomllib
from pathlib import Path
from typing import get_args

from pydantic_core import PydanticUndefined

from sacristy.model_file import ModelFile, Section

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "model-toml.md"


def rows(section=ModelFile, prefix=""):
    for name, field in section.model_fields.items():
        kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        if kinds and issubclass(kinds[0], Section):
            yield from rows(kinds[0], f"{prefix}{name}.")
            continue
        default = "required" if field.default is PydanticUndefined else f"`{field.default!r}`"
        yield f"| `{prefix}{name}` | {field.description} | {default} |"


def test_the_page_has_a_row_for_each_key():
    page = PAGE.read_text()
    assert [row for row in rows() if row not in page] == []
    assert page.count("\n| `") == len(list(rows()))


def test_the_pages_example_is_valid():
    example = PAGE.read_text().split("```toml\n")[1].split("```")[0]
    assert ModelFile.model_validate(tomllib.loads(example)).title == "Handwritten digits"


if __name__ == "__main__":
    print("\n".join(rows()))
