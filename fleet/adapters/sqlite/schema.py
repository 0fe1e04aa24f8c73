"""The tables of `.fleet/state.db`. A change to them raises VERSION and adds the step that brings older files along."""

from __future__ import annotations

VERSION = 8

TABLES = """
CREATE TABLE schema_version (version INTEGER NOT NULL);

CREATE TABLE rollouts (
    id TEXT PRIMARY KEY,
    fleet TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    controller TEXT NOT NULL,
    nodes INTEGER NOT NULL,
    status TEXT NOT NULL,
    started_at REAL NOT NULL,
    updated_at REAL NOT NULL
);
CREATE TABLE orders (           -- apart from what changes with each step: SQLite writes a row as a whole
    rollout TEXT PRIMARY KEY, body BLOB NOT NULL    -- JSON, zlib
);
CREATE TABLE events (
    rollout TEXT NOT NULL, seq INTEGER NOT NULL, at REAL NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (rollout, seq)
) WITHOUT ROWID;
CREATE TABLE effects (          -- the open ones
    rollout TEXT NOT NULL, batch TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (rollout, batch)
) WITHOUT ROWID;
CREATE TABLE snapshots (        -- the newest one of each rollout
    rollout TEXT PRIMARY KEY, seq INTEGER NOT NULL, body BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rollout TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE lease (            -- one row; its epoch outlives every holder
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    controller TEXT NOT NULL,   -- empty: released
    machine TEXT NOT NULL,
    pid INTEGER NOT NULL,
    born INTEGER NOT NULL,
    expires REAL NOT NULL
);
CREATE TABLE records (
    node TEXT PRIMARY KEY,
    fleet TEXT NOT NULL,
    machine_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    controller TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    arch TEXT NOT NULL,
    at REAL NOT NULL,
    base TEXT NOT NULL,
    differs TEXT NOT NULL,      -- JSON, empty for none
    waiting TEXT NOT NULL DEFAULT '',   -- JSON, empty for none
    updates TEXT NOT NULL DEFAULT '',   -- JSON, empty for none
    learned TEXT NOT NULL DEFAULT '',   -- JSON, empty for none
    wanted TEXT NOT NULL DEFAULT ''     -- of a bundle that came in half
) WITHOUT ROWID;
CREATE TABLE contacts (         -- when a node last answered, by this machine's clock
    node TEXT PRIMARY KEY, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE unanswered (       -- digests that were sent to nodes which never answered
    node TEXT NOT NULL, digest TEXT NOT NULL,
    PRIMARY KEY (node, digest)
) WITHOUT ROWID;
CREATE TABLE silent (           -- nodes that did not answer a look at them: the first time, and the last
    node TEXT PRIMARY KEY, site TEXT NOT NULL, since REAL NOT NULL, at REAL NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE held_back (        -- bundles that were rolled back, and by whom: node by node, not to be brought again
    node TEXT PRIMARY KEY, digest TEXT NOT NULL, rollout TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE objects (          -- manifests by digest (b1:...), contents by sha256; zlib
    key TEXT PRIMARY KEY, body BLOB NOT NULL
);
CREATE TABLE clusters (
    cluster TEXT PRIMARY KEY, existed INTEGER NOT NULL, datastore TEXT NOT NULL
) WITHOUT ROWID;
"""

STEPS = {
    1: """
ALTER TABLE records ADD COLUMN waiting TEXT NOT NULL DEFAULT '';
ALTER TABLE records ADD COLUMN updates TEXT NOT NULL DEFAULT '';
CREATE TABLE contacts (node TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID;
""",
    2: """
CREATE TABLE unanswered (node TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (node, digest)) WITHOUT ROWID;
""",
    3: """
ALTER TABLE records ADD COLUMN learned TEXT NOT NULL DEFAULT '';
ALTER TABLE clusters DROP COLUMN ca_hash;
""",
    4: """
ALTER TABLE records ADD COLUMN wanted TEXT NOT NULL DEFAULT '';
""",
    5: """
CREATE TABLE orders (rollout TEXT PRIMARY KEY, body BLOB NOT NULL);
INSERT INTO orders SELECT id, body FROM rollouts;
ALTER TABLE rollouts DROP COLUMN body;
""",
    6: """
CREATE TABLE held_back (node TEXT PRIMARY KEY, digest TEXT NOT NULL, rollout TEXT NOT NULL) WITHOUT ROWID;
""",
    7: """
CREATE TABLE silent (
    node TEXT PRIMARY KEY, site TEXT NOT NULL, since REAL NOT NULL, at REAL NOT NULL, reason TEXT NOT NULL
) WITHOUT ROWID;
""",
}
"""What makes the next version of each older one, in the transaction that opens the file."""
