-- .fleet/state.db as version 5 of the schema made it, with a rollout in it that was killed. Never changed.
CREATE TABLE schema_version (version INTEGER NOT NULL);

CREATE TABLE rollouts (
    id TEXT PRIMARY KEY,
    fleet TEXT NOT NULL,
    commit_id TEXT NOT NULL,
    controller TEXT NOT NULL,
    nodes INTEGER NOT NULL,
    status TEXT NOT NULL,
    started_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    body BLOB NOT NULL          -- the order: JSON, zlib
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
CREATE TABLE objects (          -- manifests by digest (b1:...), contents by sha256; zlib
    key TEXT PRIMARY KEY, body BLOB NOT NULL
);
CREATE TABLE clusters (
    cluster TEXT PRIMARY KEY, existed INTEGER NOT NULL, datastore TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO schema_version VALUES (5);
INSERT INTO records VALUES ('lyon-1-a', 'acme', 'm1', 'b1:aa', '4be1f02', 'ops@desk', 7, 'amd64', 1750000000.5, '', '["/etc/motd"]', '', '', '', '');
INSERT INTO clusters VALUES ('lyon-1', 1, 'etcd');
INSERT INTO rollouts VALUES ('7f3c', 'acme-retail', '4be1f02c0ffee', 'ops@desk', 3, 'running', 1750000000.0, 1750000001.0, x'78018d51cb4ec33010fc973da79253de39f11fa8aa36ceba58716c649b5650e5df994d10aa1008f6b6339b19cfe44c7ea08eeedc95a5865c10a958d94eb2c952d907a0364d9357f8ba97d699ad35ce892c44ac39852019647a298f839411f8898f52a87b3a53e449c0c951f25b8afa4d4c38bae402884d0ba6f8aab7baab76782d7511fe0460a474910c311c648e2375a6a19e8b12804e1cab689cbeed1edcfded60686ebe1eb11a6daa0f1aea7f6e7c90587f308301638cf9e6da63005eb81e18a97eb753ed35585cfbf92396c5a8c16edee177a53ca2cbed5242b5cffbe2df51c50df6caa3ec93368566e60fe89b96c3');
INSERT INTO events VALUES ('7f3c', 1, 1750000001.0, CAST('{"event":"RolloutStarted","v":1,"rollout_id":"7f3c","fleet":"acme-retail","commit":"4be1f02c0ffee","controller":"ops@desk","epoch":7,"nodes":3,"waves":1}' AS BLOB));
INSERT INTO events VALUES ('7f3c', 2, 1750000001.0, CAST('{"event":"WaveStarted","v":1,"wave":"everyone","index":0,"nodes":3}' AS BLOB));
INSERT INTO events VALUES ('7f3c', 3, 1750000001.0, CAST('{"event":"BatchStarted","v":1,"batch_id":"7f3c-0001","nodes":["lyon-1","gate"]}' AS BLOB));
INSERT INTO effects VALUES ('7f3c', '7f3c-0001', x'7b22656666656374223a2252756e4261746368222c226f72646572223a7b2262617463685f6964223a22376633632d30303031222c22726f6c6c6f75745f6964223a2237663363222c2265706f6368223a372c226e6f646573223a5b226c796f6e2d31222c2267617465225d2c22657870656374223a7b226c796f6e2d31223a22222c2267617465223a22227d2c2274616b655f6f766572223a22222c2275706b656570223a66616c73652c22757064617465735f6e6f77223a66616c73652c227265626f6f745f756e74696c223a7b7d2c2277616e746564223a7b226c796f6e2d31223a2262313a396638366430222c2267617465223a2262313a636363633030227d7d7d');
INSERT INTO inbox VALUES (1, '7f3c', x'7b227369676e616c223a225061757365222c22726561736f6e223a226c756e6368227d');
INSERT INTO lease VALUES (1, 7, 'ops@desk', 'of another boot', 1, 1, 0);
