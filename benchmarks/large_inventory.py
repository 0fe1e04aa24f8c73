"""Writes an Ansible inventory of shops, as it grows over the years: `python large_inventory.py FOLDER HOSTS`.

Ten hosts a shop, shops in regions, groups by use across them, group_vars/ of all levels, variables that override.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

REGIONS = ("north", "south", "east", "west")
USES = {"tills": range(3, 10), "kiosks": range(2, 3), "back_office": range(2)}
OF_ALL = "company: acme\nusers: [{name: root}]\nntp: [ntp1.acme.example, ntp2.acme.example]\n"


def main(folder: Path, hosts: int) -> None:
    shops = max(1, hosts // 10 // len(REGIONS))
    (folder / "group_vars").mkdir(parents=True)
    (folder / "hosts.yml").write_text("\n".join(lines(shops)) + "\n")
    files = {
        "all": OF_ALL + "".join(f"setting_{at}: value {at}\n" for at in range(30)),
        "tills": "drawer: true\nlimits: {open_files: 4096}\n",
        **{region: f"region: {region}\nlimits: {{open_files: 1024, processes: 512}}\n" for region in REGIONS},
    }
    for group, text in files.items():
        (folder / "group_vars" / f"{group}.yml").write_text(text)


def lines(shops: int) -> Iterator[str]:
    yield from ("all:", "  vars: {ansible_user: shop}", "  children:")
    for at, region in enumerate(REGIONS):
        yield from (f"    {region}:", "      children:")
        for shop in range(shops):
            yield f"        shop_{region}_{shop:03d}:"
            yield f'          vars: {{street: Street {shop}, phone: "+33{shop:06d}"}}'
            yield "          hosts:"
            for host in range(10):
                address = f"10.{at * 60 + shop // 5}.{shop % 5 * 50}.{host + 1}"
                own = f'ansible_host: {address}, rack: {host}, serial_number: "36171E23{host:04d}"'
                yield f"            {region}-{shop:03d}-{host}: {{{own}}}"
    for use, numbers in USES.items():
        yield from (f"    {use}:", f"      vars: {{app: {use}}}", "      hosts:")
        yield from (
            f"        {region}-{shop:03d}-{host}:" for region in REGIONS for shop in range(shops) for host in numbers
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
