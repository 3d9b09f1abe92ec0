"""The settings of acme."""

import iniconfig


def read(text: str, name: str) -> str:
    """A setting by its name."""
    return iniconfig.IniConfig("acme.ini", data=text)["acme"][name]
