from drifted import encode


def test_plain_names_stay():
    assert encode("[hosts]\na = example.org\n") == ["example.org"]


def test_others_are_encoded():
    assert encode("[hosts]\na = bücher.example\n") == ["xn--bcher-kva.example"]
