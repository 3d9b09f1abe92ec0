"""Encodes the host names in an ini file."""

import sys

import idna
import iniconfig


def encode(text: str) -> list[str]:
    """The hosts of the section `hosts`, in the form that DNS takes."""
    hosts = iniconfig.IniConfig("hosts.ini", data=text)["hosts"]
    return [idna.encode(name).decode() for _, name in hosts.items()]


def main() -> None:
    print("\n".join(encode(sys.stdin.read())))
