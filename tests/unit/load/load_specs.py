"""Small specs that the tests of load start from."""

from __future__ import annotations

from fleet.errors import SpecError
from fleet.load import load
from fleet.model.problem import Problem
from fleet.model.spec.document import Spec
from fleet.model.tree import Tree

FLEET = """\
apiVersion: fleet/v1alpha1
kind: Fleet
metadata: {name: acme}
spec:
  k3s: {version: v1.35.4+k3s1}
"""
STORES = """\
apiVersion: fleet/v1alpha1
kind: SiteSet
metadata: {name: stores}
spec:
  source: {csv: stores.csv}
  template:
    metadata: {name: "{store}", labels: {country: "{country}"}}
    spec:
      timeZone: "{tz}"
      coordinates: {latitude: "{lat}", longitude: "{lon}"}
      k3s: {config: {disable: [servicelb]}}
      vars: {store: "S-{store}", ntp: "{{ vars.ntp }}", size: 7}
      nodes:
        - {name: "{store}-a", role: server, address: "{ip}"}
        - {name: "{second}", role: agent, address: "{ip2}"}
      nodeSets:
        - {name: till, count: "{tills}", role: agent, start: 10.9.0.1, namePattern: "{site}-{set}-{index:02d}"}
"""
TABLE = """\
store,country,tz,lat,lon,ip,second,ip2,tills
lyon-1,fr,Europe/Paris,45.76,4,10.0.0.1,lyon-1-b,10.0.0.2,12
rome-1,it,Europe/Rome,,,10.0.1.1,,,3
oslo-1,,Europe/Oslo,59.9,10.7,10.0.2.1,,,0
"""


def spec_of(**files: str) -> Spec:
    """Loads `fleet.yaml` and the given files; `__` in a name stands for a dot."""
    return load(tree_of(**files))


def tree_of(**files: str) -> Tree:
    named = {name.replace("__", "."): text.encode() for name, text in files.items()}
    return Tree({"fleet.yaml": FLEET.encode(), **named})


def problems_of(**files: str) -> list[Problem]:
    try:
        spec_of(**files)
    except SpecError as error:
        return list(error.problems)
    return []
