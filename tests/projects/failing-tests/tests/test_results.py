import pytest


def test_passes():
    assert True


def test_fails():
    wanted, got = {"answer": 42}, {"answer": 41}
    assert got == wanted, "a message, with a comma: and 100%"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_fails_for_odd_numbers(number):
    assert number % 2 == 0


@pytest.fixture
def database():
    raise ConnectionError("no database")


def test_errors(database):
    pass


@pytest.mark.skip(reason="not today")
def test_is_skipped():
    pass


@pytest.mark.xfail(reason="known")
def test_fails_as_expected():
    raise AssertionError
