"""resolve: Spec + Learned -> Nodes and Clusters. Total, pure; the only place where defaults are applied.

    merge      what inheritance means: maps merge, named lists merge by name, `key+` appends, `null` removes
    layers     which layers a node has, weakest first, merged once per distinct chain
    settings   a merged layer becomes total Settings
    members    sites become nodes: the listed ones and those of node sets
    clusters   nodes become clusters: order of servers, datastore, join address
    clashes    names, addresses and dial targets that two nodes share
    walking    clusters that are several minors of K3s behind go up one at a time
    policy     how changes go out: the fleet's RolloutPolicy
    waves      which changing nodes come in which wave of it
    budgets    which nodes share a budget, and how many of them may be away at once
    doubts     what of the policy the fleet's nodes make pointless
    scope      which nodes --site, --selector, --node and --limit leave
    origin     which line of the spec each value of one node comes from, on demand

Nothing here may read a file, a clock or the environment.
"""

from fleet.resolve.budgets import budgets
from fleet.resolve.doubts import doubts
from fleet.resolve.fleet import resolve
from fleet.resolve.origin import Origin, origins
from fleet.resolve.scope import in_scope, seen_labels
from fleet.resolve.waves import matches_nothing, waves

__all__ = ["Origin", "budgets", "doubts", "in_scope", "matches_nothing", "origins", "resolve", "seen_labels", "waves"]
