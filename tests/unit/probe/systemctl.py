#!/usr/bin/env python3
"""Stands in for `systemctl show`: each call tells the next line of the file UNITS_SCRIPT names, a JSON map of a unit to its
properties; the last one again and again. A unit that is not in it is `not-found`, as systemd tells it.
"""

import json
import os
import sys
from pathlib import Path

words = sys.argv[1:]
if words[:1] == ["is-system-running"]:
    print("running")
elif words[:1] == ["list-units"]:
    pass
else:
    verb, shown, dashes, *units = words
    assert (verb, dashes) == ("show", "--"), words
    script = Path(os.environ["UNITS_SCRIPT"])
    lines = script.read_text().splitlines()
    calls = script.with_suffix(".calls")
    with calls.open("a") as file:
        file.write(" ".join(units) + "\n")
    at = min(len(calls.read_text().splitlines()), len(lines)) - 1
    if lines[at] == "dead":
        print("Failed to get properties: Connection timed out", file=sys.stderr)
        sys.exit(1)
    known = json.loads(lines[at])
    absent = {"LoadState": "not-found", "ActiveState": "inactive", "SubState": "dead", "Result": "success"}
    wanted = shown.partition("=")[2].split(",")
    for number, unit in enumerate(units):
        said = {"Id": unit, **known.get(unit, absent)}
        if number:
            print()
        for name in wanted:
            if name in said:
                print(f"{name}={said[name]}")
