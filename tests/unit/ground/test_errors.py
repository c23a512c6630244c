import copy
import inspect

import pytest

from sacristy import errors
from sacristy.errors import SacristyError, UnknownModel, placeholders

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, SacristyError)]
LEAVES = [kind for kind in CLASSES if kind is not SacristyError]


@pytest.mark.parametrize("kind", LEAVES, ids=lambda kind: kind.__name__)
def test_every_failure_says_what_happened_and_has_a_docstring(kind):
    error = kind(**dict.fromkeys(placeholders(kind) | {"cause"}, "x"))
    assert str(error)
    assert "{" not in str(error) + error.advice
    assert kind.__doc__
    assert kind.exit_code != 0
    assert 400 <= kind.http_status < 600


def test_a_failure_names_the_value_and_the_next_command():
    error = UnknownModel(model="nwes", known="digits, news")
    assert str(error) == "there is no model 'nwes'; there is digits, news"
    assert "models/nwes/" in error.advice


def test_a_missing_field_is_told_to_the_developer():
    with pytest.raises(TypeError, match="known"):
        UnknownModel(model="nwes")


def test_long_and_unprintable_values_are_shortened():
    error = UnknownModel(model="x" * 5000 + "\ud800", known="none")
    assert len(str(error)) < 500
    str(error).encode()


def test_a_failure_can_be_made_again_from_its_fields():
    error = UnknownModel(model="a", known="b")
    assert str(copy.copy(error)) == str(error)
