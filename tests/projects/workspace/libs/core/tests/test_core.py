from acme_core import read


def test_read():
    assert read("[acme]\njobs = 3\n", "jobs") == "3"
