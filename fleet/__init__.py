"""One declarative fleet spec in git becomes standard K3s and Ansible configuration, planned and applied.

The flow, one verb a room, left to right; what passes between two verbs is a noun in `fleet.model`::

    Tree --load--> Spec --resolve(+Learned)--> Nodes, Clusters --render--> Bundles
      --diff(+Records)--> Changes --check, estimate--> Plan --decide--> Events, Effects

Verbs are pure. `ports` are the holes in the wall, `adapters` fill them, `operations` string verbs and ports
together as generators of events, `wiring` names the concrete adapters, and `workspace` is the library's face.
"""

__version__ = "0.1.0"
