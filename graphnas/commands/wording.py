"""What the parser library says about a wrong value, in the words of an option."""

from __future__ import annotations

import re

UNION = re.compile(
    r'Parser key "(?P<key>[^"]+)": Does not validate against any of the Union subtypes; Subtypes: \[(?P<types>.*?)\]; '
    r"Errors: .*; Given value type: .*?; Given value: (?P<value>.*)"
)
ONE = re.compile(r'Parser key "(?P<key>[^"]+)": Expected a (?P<types>.*?)\. Got value: (?P<value>.*)')
FILE = re.compile(r'Parser key "(?P<key>[^"]+)": (?P<text>File does not exist: .*)')
TYPE = re.compile(r"typing\.Literal\[(?P<names>[^]]*)\]|<class '(?P<kind>\w+)'>")
WORDS = {"int": ["a whole number"], "float": ["a number"], "str": ["text"], "bool": ["true or false"], "NoneType": []}


def reword(message: str) -> str:
    """`--NAME: expected A, B or C (got VALUE)` where the message is about plain values; what is about a file gets the
    option's name in front, the rest stays as it is."""
    if (file := FILE.fullmatch(message)) is not None:
        return f"--{file['key']}: {file['text']}"
    found = UNION.fullmatch(message) or ONE.fullmatch(message)
    if found is None or TYPE.sub("", found["types"]).strip(", "):
        return message
    choices: list[str] = []
    for one in TYPE.finditer(found["types"]):
        if one["kind"] is not None and one["kind"] not in WORDS:
            return message
        choices += WORDS[one["kind"]] if one["kind"] else re.findall("'([^']*)'", one["names"])
    expected = " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1]))) if choices else "nothing"
    return f"--{found['key']}: expected {expected} (got {found['value']})"
