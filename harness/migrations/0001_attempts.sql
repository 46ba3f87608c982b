-- One row for each run of one scenario on one board. The same text for SQLite and PostgreSQL: integers are BIGINT, all else is
-- TEXT, so that both give back what they were given.
CREATE TABLE brickproof_attempt (
    -- SHA-256 of what tells one attempt from all others: the same recording added again is the same row.
    id TEXT NOT NULL PRIMARY KEY,
    -- Name of the run's folder.
    run TEXT NOT NULL,
    -- What was tested, where it was told: a commit, a build number.
    label TEXT,
    scenario TEXT NOT NULL,
    board TEXT NOT NULL,
    chip TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    -- pass, fail, error or skip.
    status TEXT NOT NULL,
    -- Milliseconds since 1970.
    began_ms BIGINT NOT NULL,
    wall_ms BIGINT NOT NULL,
    -- On the run's clock.
    run_ms BIGINT NOT NULL,
    -- Decimal: 64 bits without a sign fit no column of both databases.
    seed TEXT NOT NULL,
    -- 1 where time was warped: the same seed then gives the same run.
    warped BIGINT NOT NULL,
    -- SHA-256 of the scenario's text, templates filled in.
    text_digest TEXT NOT NULL,
    made_by TEXT NOT NULL,
    -- not-needed, after or never; empty where it was not measured.
    recovery TEXT NOT NULL,
    recovery_ms BIGINT,
    notice_ms BIGINT,
    retries BIGINT NOT NULL,
    connections BIGINT NOT NULL,
    -- Bytes per second.
    throughput BIGINT,
    -- Bytes.
    free_heap BIGINT,
    -- What failed, in a line; empty for a pass.
    why TEXT NOT NULL,
    -- As the run named it, relative to its report.
    recording TEXT
);

CREATE INDEX brickproof_attempt_trend ON brickproof_attempt (scenario, board, chip, began_ms);
CREATE INDEX brickproof_attempt_began ON brickproof_attempt (began_ms);
