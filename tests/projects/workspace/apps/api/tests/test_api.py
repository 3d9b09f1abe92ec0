from acme_api import host


def test_host():
    assert host("[acme]\nhost = example.org\n") == "example.org"
