"""Mutates good specs, seeded, and loads each: what comes out is a Spec or a SpecError, in time and in little memory.

    python tests/property/load/mutations.py COUNT SEED

prints one JSON document: {count, valid, refused, slowest, megabytes, failures: [{seed, error}]}. `seed` alone makes
the same mutant again. It runs as a program of its own, so that the memory is its own.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from fleet.errors import SpecError  # noqa: E402 -- the checkout comes first on the path
from fleet.load import load  # noqa: E402
from fleet.model.tree import Tree  # noqa: E402

SEEDS = Path(__file__).parent / "seeds"
Files = dict[str, bytes]
Mutation = Callable[[random.Random, bytes], bytes]

WORDS = (
    "null", "true", "no", "1e3", "0o17", "12:30:45", "-1", "0", "99999999999999999999", "1.5", '""', "[]", "{}", "~",
    '"{column}"', '"{store}"', "&a [*a]", "*a", "!!int x", "../../etc/shadow", "/proc/1/mem", '"\\u0000"', "é",
    '"' + "x" * 5000 + '"', "'", '"', "[", "}", ": :", "- -", "#", "\t", "\x00", "\ud7ff", "| \n", "<<",
)  # fmt: skip
HARMLESS = ("# a comment\n", "\n", "---\napiVersion: v1\nkind: ConfigMap\n---\n")


def good_specs() -> list[Files]:
    """Each folder of seeds/ is a spec that loads."""
    return [
        {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        for folder in sorted(SEEDS.iterdir())
    ]


def _lines(change: Callable[[random.Random, list[bytes]], None]) -> Mutation:
    def mutated(chance: random.Random, data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        if lines:
            change(chance, lines)
        return b"".join(lines)

    return mutated


def _drop(chance: random.Random, lines: list[bytes]) -> None:
    lines.pop(chance.randrange(len(lines)))


def _double(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    lines.insert(at, lines[at])


def _swap(chance: random.Random, lines: list[bytes]) -> None:
    one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[two] = lines[two], lines[one]


def _indent(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    lines[at] = chance.choice((b"  ", b" ", b"\t")) + lines[at]


def _value(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    key, colon, _ = lines[at].partition(b": ")
    lines[at] = key + (colon or b": ") + chance.choice(WORDS).encode("utf-8", "surrogatepass") + b"\n"


def _key(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    lines[at] = lines[at].replace(b":", chance.choice((b"x:", b"+:", b" :", b"")), 1)


def _digit(chance: random.Random, lines: list[bytes]) -> None:
    at = chance.randrange(len(lines))
    lines[at] = bytes(
        48 + chance.randrange(10) if 48 <= byte < 58 and chance.random() < 0.5 else byte for byte in lines[at]
    )


def _comment(chance: random.Random, lines: list[bytes]) -> None:
    starts = [at for at, line in enumerate(lines) if not line.startswith((b" ", b"\t"))] or [0]
    lines.insert(chance.choice(starts), b"# a comment\n")


def _reword(chance: random.Random, lines: list[bytes]) -> None:
    """Another text where any text does: the content of files and variables."""
    at = chance.randrange(len(lines))
    lines[at] = lines[at].replace(b"iburst", b"iburst " + bytes(chance.randrange(97, 123) for _ in range(5)))


def _byte(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + bytes([chance.randrange(256)]) + data[at + chance.randrange(2) :]


def _cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _insert(chance: random.Random, data: bytes) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(WORDS).encode("utf-8", "surrogatepass") + data[at:]


def _append(chance: random.Random, data: bytes) -> bytes:
    return data + b"\n" + chance.choice(HARMLESS).encode()


HARSH: tuple[Mutation, ...] = (
    *map(_lines, (_drop, _double, _swap, _indent, _value, _key)), _byte, _cut, _insert,
)  # fmt: skip
MILD: tuple[Mutation, ...] = (*map(_lines, (_comment, _reword, _digit)), _append)


def mutant(seed: int) -> Files:
    """One mutated spec: half of them mildly, so that many are still good."""
    chance = random.Random(seed)
    files = dict(chance.choice(good_specs()))
    kinds = MILD if chance.random() < 0.5 else HARSH
    for _ in range(chance.randrange(1, 4)):
        name = chance.choice(sorted(files))
        files[name] = chance.choice(kinds)(chance, files[name])
    return files


def run(count: int, first: int) -> dict[str, object]:
    valid, slowest, failures = 0, 0.0, []
    for seed in range(first, first + count):
        files = mutant(seed)
        begin = time.process_time()
        try:
            load(Tree(files))
            valid += 1
        except SpecError as error:
            if not error.problems or any(problem.line < 1 or not problem.message for problem in error.problems):
                failures.append({"seed": seed, "error": f"no place or no words: {error.problems!r}"})
        except BaseException:  # noqa: BLE001 -- whatever else comes out is what this looks for
            failures.append({"seed": seed, "error": traceback.format_exc()})
        slowest = max(slowest, time.process_time() - begin)
    return {
        "count": count,
        "valid": valid,
        "refused": count - valid - len(failures),
        "slowest": round(slowest, 3),
        "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "failures": failures,
    }


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
