-- A workspace database of version 1, as that version made it, with a row in every table.
-- Kept as it is: it proves that later versions still open what version 1 wrote.
CREATE TABLE datasets (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    n_users INTEGER NOT NULL,
    n_items INTEGER NOT NULL,
    n_interactions INTEGER NOT NULL,
    source TEXT NOT NULL,
    extra TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created REAL NOT NULL
);
CREATE INDEX datasets_by_name ON datasets (name);
CREATE TABLE runs (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    result TEXT NOT NULL,
    started REAL NOT NULL,
    finished REAL,
    error TEXT,
    dataset_fingerprint TEXT
);
CREATE INDEX runs_by_state ON runs (state);
CREATE TABLE run_values (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    value REAL,
    time REAL NOT NULL
);
CREATE INDEX run_values_by_run ON run_values (run_id, name);
CREATE TABLE model_names (
    name TEXT PRIMARY KEY,
    last_version INTEGER NOT NULL,
    active_version INTEGER
);
CREATE TABLE models (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL REFERENCES model_names (name),
    version INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    params TEXT NOT NULL,
    seed INTEGER,
    dataset_fingerprint TEXT,
    run_id TEXT REFERENCES runs (id) ON DELETE SET NULL,
    metrics TEXT NOT NULL,
    fit_seconds REAL,
    peak_memory_bytes INTEGER,
    size_bytes INTEGER NOT NULL,
    note TEXT NOT NULL,
    created REAL NOT NULL,
    UNIQUE (name, version)
);
CREATE TABLE evaluations (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    run_id TEXT REFERENCES runs (id) ON DELETE SET NULL,
    dataset_fingerprint TEXT,
    split TEXT NOT NULL,
    seed INTEGER,
    k INTEGER,
    payload TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    created REAL NOT NULL
);
CREATE TABLE metrics (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    evaluation_id TEXT NOT NULL REFERENCES evaluations (id) ON DELETE CASCADE,
    algorithm TEXT NOT NULL,
    model_id TEXT,
    metric TEXT NOT NULL,
    k INTEGER,
    value REAL,
    low REAL,
    high REAL
);
CREATE INDEX metrics_by_evaluation ON metrics (evaluation_id);
CREATE TABLE interactions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    dataset_fingerprint TEXT,
    person TEXT NOT NULL,
    item TEXT NOT NULL,
    kind TEXT NOT NULL,
    value REAL,
    time REAL NOT NULL
);
CREATE INDEX interactions_by_person ON interactions (person, time);
CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE pending_artifacts (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (kind, name)
);
INSERT INTO datasets VALUES (1, 'fingerprint1', 'movies', 2, 3, 4, 'ratings.csv', '{"min_rating": null}', 100, 1700000000.0);
INSERT INTO runs VALUES (1, 'run-done', 'train', 'done', '{"algorithm": "ease"}', '{"model": "aaaaaaaaaaaa"}', 1700000000.0, 1700000005.0, NULL, 'fingerprint1');
INSERT INTO runs VALUES (2, 'run-killed', 'train', 'running', '{}', '{}', 1700000010.0, NULL, NULL, NULL);
INSERT INTO run_values VALUES (1, 'run-done', 1, 'loss', 0.5, 1700000001.0);
INSERT INTO run_values VALUES (2, 'run-done', 2, 'loss', 0.25, 1700000002.0);
INSERT INTO model_names VALUES ('ease', 3, 3);
INSERT INTO models VALUES (1, 'aaaaaaaaaaaa', 'ease', 3, 'ease', '{"l2": 500.0}', 42, 'fingerprint1', 'run-done', '{"ndcg@10": 0.26}', 1.5, 1000000, 2000, 'the first', 1700000005.0);
INSERT INTO evaluations VALUES (1, 'bbbbbbbbbbbb', 'run-done', 'fingerprint1', '{"kind": "random"}', 42, 10, '{}', 300, 1700000006.0);
INSERT INTO metrics VALUES (1, 'bbbbbbbbbbbb', 'ease', 'aaaaaaaaaaaa', 'ndcg', 10, 0.26, 0.25, 0.27);
INSERT INTO interactions VALUES (1, 'fingerprint1', 'u1', 'i9', 'rate', 4.5, 1700000007.0);
INSERT INTO settings VALUES ('theme', '"dark"');
INSERT INTO pending_artifacts VALUES ('models', 'cccccccccccc');
PRAGMA application_id = 1382241092;
PRAGMA user_version = 1;
