-- Times are BIGINT milliseconds since 1970, hashes 32 bytes. JSON is TEXT, so that digits and the order of keys survive.
-- What strangers write can hold a NUL, which TEXT cannot: it is BYTEA (UTF-8). Text is ordered by its bytes ("C").
-- Tables that have a site lead with it, and their unique keys contain it, so that a PostgreSQL that distributes by column
-- can spread them.

-- Who there is ------------------------------------------------------------------------------------------------------

CREATE TABLE users (
    id          UUID    NOT NULL PRIMARY KEY,
    email       TEXT    COLLATE "C" NOT NULL UNIQUE,
    name        TEXT    NOT NULL,
    operator    BOOLEAN NOT NULL,
    password    TEXT,
    created_at  BIGINT  NOT NULL
);

CREATE TABLE sessions (
    hash        BYTEA   NOT NULL PRIMARY KEY,
    id          UUID    NOT NULL,
    user_id     UUID    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agent       TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    used_at     BIGINT  NOT NULL,
    -- Moves with each use that is written down.
    expires_at  BIGINT  NOT NULL
);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Links with which people set a password: one of each kind for a person.
CREATE TABLE password_links (
    user_id     UUID    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind        TEXT    NOT NULL,
    hash        BYTEA   NOT NULL UNIQUE,
    created_at  BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    PRIMARY KEY (user_id, kind)
);
CREATE INDEX password_links_by_expiry ON password_links (expires_at);

-- A removed site stays until purge has deleted what it left; to every read it is gone at once.
CREATE TABLE sites (
    site_uuid   UUID    NOT NULL PRIMARY KEY,
    domain      TEXT    COLLATE "C" NOT NULL,
    created_at  BIGINT  NOT NULL,
    removed_at  BIGINT
);
CREATE INDEX sites_removed ON sites (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE site_owners (
    site_uuid   UUID NOT NULL REFERENCES sites (site_uuid) ON DELETE CASCADE,
    user_id     UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (site_uuid, user_id)
);
CREATE INDEX site_owners_by_user ON site_owners (user_id);

-- A removed partner stays, because the delivery log names it; its slug is free again.
CREATE TABLE partners (
    id          UUID    NOT NULL PRIMARY KEY,
    slug        TEXT    COLLATE "C" NOT NULL,
    name        TEXT    NOT NULL,
    client_id   TEXT    COLLATE "C" NOT NULL UNIQUE,
    secret      BYTEA   NOT NULL,
    echo        BOOLEAN NOT NULL,
    merge_updates BOOLEAN NOT NULL,
    require_pkce BOOLEAN NOT NULL,
    created_at  BIGINT  NOT NULL,
    removed_at  BIGINT
);
CREATE UNIQUE INDEX partners_by_slug ON partners (slug) WHERE removed_at IS NULL;

CREATE TABLE redirect_uris (
    partner_id  UUID    NOT NULL REFERENCES partners (id) ON DELETE CASCADE,
    position    BIGINT  NOT NULL,
    uri         TEXT    NOT NULL,
    PRIMARY KEY (partner_id, position)
);

CREATE TABLE sources (
    id          UUID    NOT NULL PRIMARY KEY,
    username    TEXT    COLLATE "C" NOT NULL UNIQUE,
    password    BYTEA   NOT NULL,
    -- true: every site, also those added later; false: the ones in source_sites, also when none is left.
    all_sites   BOOLEAN NOT NULL,
    created_at  BIGINT  NOT NULL
);

CREATE TABLE source_sites (
    site_uuid   UUID NOT NULL REFERENCES sites (site_uuid) ON DELETE CASCADE,
    source_id   UUID NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    PRIMARY KEY (site_uuid, source_id)
);
CREATE INDEX source_sites_by_source ON source_sites (source_id, site_uuid);

-- OAuth -------------------------------------------------------------------------------------------------------------

-- One consent, and the family of all tokens that descend from it.
CREATE TABLE grants (
    site_uuid   UUID    NOT NULL,
    id          UUID    NOT NULL,
    -- The authorization request that was approved. It is approvable once, on whichever site: a lock sees to that.
    flow        UUID    NOT NULL,
    partner_id  UUID    NOT NULL,
    user_id     UUID    NOT NULL,
    scopes      TEXT    NOT NULL,
    generation  BIGINT  NOT NULL DEFAULT 0,
    rotated_at  BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    -- From then on nothing of the family is alive.
    ends_at     BIGINT  NOT NULL,
    revoked_at  BIGINT,
    PRIMARY KEY (site_uuid, id)
);
CREATE UNIQUE INDEX grants_by_flow ON grants (flow, site_uuid);
CREATE INDEX grants_by_partner ON grants (partner_id);
CREATE INDEX grants_by_user ON grants (user_id);
CREATE INDEX grants_by_end ON grants (ends_at);

-- A used code is kept as long as its grant, so that a replay is recognised (RFC 6749 section 4.1.2).
CREATE TABLE authorization_codes (
    site_uuid    UUID   NOT NULL,
    hash         BYTEA  NOT NULL,
    grant_id     UUID   NOT NULL,
    redirect_uri TEXT   NOT NULL,
    challenge    TEXT,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT,
    PRIMARY KEY (hash, site_uuid),
    FOREIGN KEY (site_uuid, grant_id) REFERENCES grants (site_uuid, id) ON DELETE CASCADE
);
CREATE INDEX authorization_codes_by_grant ON authorization_codes (site_uuid, grant_id);

-- The newest ones of a grant are kept after they have expired: whoever revokes one ends the grant (RFC 7009 section 2.1).
-- The next refresh deletes them; it looks at no others, however many are alive.
CREATE TABLE access_tokens (
    site_uuid   UUID    NOT NULL,
    hash        BYTEA   NOT NULL,
    grant_id    UUID    NOT NULL,
    scopes      TEXT    NOT NULL,
    issued_at   BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    PRIMARY KEY (hash, site_uuid),
    FOREIGN KEY (site_uuid, grant_id) REFERENCES grants (site_uuid, id) ON DELETE CASCADE
);
CREATE INDEX access_tokens_by_grant ON access_tokens (site_uuid, grant_id, expires_at);

-- A replaced token is kept until it would have expired, so that a replay is recognised (RFC 9700 section 4.14.2).
CREATE TABLE refresh_tokens (
    site_uuid   UUID    NOT NULL,
    hash        BYTEA   NOT NULL,
    grant_id    UUID    NOT NULL,
    generation  BIGINT  NOT NULL,
    issued_at   BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    PRIMARY KEY (hash, site_uuid),
    FOREIGN KEY (site_uuid, grant_id) REFERENCES grants (site_uuid, id) ON DELETE CASCADE
);
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (site_uuid, grant_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

-- How often somebody may still be wrong (src/model/throttle.rs). No row: as often as there is room for.
CREATE TABLE guess_buckets (
    key         BYTEA   NOT NULL PRIMARY KEY,
    full_at     BIGINT  NOT NULL
);
CREATE INDEX guess_buckets_by_level ON guess_buckets (full_at);

-- Subscriptions -----------------------------------------------------------------------------------------------------

-- Not UNIQUE per site and partner: old data can hold duplicates. A removed one stays as long as the delivery log
-- names it.
CREATE TABLE subscriptions (
    site_uuid    UUID   NOT NULL,
    id           UUID   NOT NULL,
    seq          BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY,
    partner_id   UUID   NOT NULL,
    url          TEXT   NOT NULL,
    secret       BYTEA  NOT NULL,
    -- With whose permission it was set; NULL: by the operator.
    user_id      UUID,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    paused_at    BIGINT,
    removed_at   BIGINT,
    -- Removed, and nothing waits for it any more.
    swept        BOOLEAN NOT NULL DEFAULT FALSE,
    -- When to look for due deliveries next: at the latest when the first one falls due. While some are due already, it
    -- is the subscription's place in the line of those that are to be served. NULL: none can be due.
    next_due_at  BIGINT,
    PRIMARY KEY (site_uuid, id)
);
CREATE UNIQUE INDEX subscriptions_by_id ON subscriptions (id, site_uuid);
CREATE INDEX subscriptions_live ON subscriptions (site_uuid, partner_id) WHERE removed_at IS NULL;
CREATE INDEX subscriptions_by_partner ON subscriptions (partner_id) WHERE removed_at IS NULL;
CREATE INDEX subscriptions_by_user ON subscriptions (user_id) WHERE removed_at IS NULL;
CREATE INDEX subscriptions_removed ON subscriptions (site_uuid) WHERE removed_at IS NOT NULL;
CREATE INDEX subscriptions_due ON subscriptions (next_due_at, seq)
    WHERE next_due_at IS NOT NULL AND paused_at IS NULL AND removed_at IS NULL;
CREATE INDEX subscriptions_unswept ON subscriptions (removed_at) WHERE removed_at IS NOT NULL AND NOT swept;
CREATE INDEX subscriptions_swept ON subscriptions (removed_at) WHERE swept;

-- Leads -------------------------------------------------------------------------------------------------------------

CREATE TABLE leads (
    site_uuid   UUID    NOT NULL,
    id          UUID    NOT NULL,
    seq         BIGINT  NOT NULL GENERATED ALWAYS AS IDENTITY, -- the older lead has the smaller one
    email_key   BYTEA,
    fields      TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    PRIMARY KEY (site_uuid, id)
);
-- By a hash, because an address can be longer than an index entry.
CREATE INDEX leads_by_email ON leads (site_uuid, sha256(email_key), seq) WHERE email_key IS NOT NULL;

-- Ids that callers gave to leads that already had one.
CREATE TABLE lead_aliases (
    site_uuid   UUID NOT NULL,
    alias       UUID NOT NULL,
    lead_id     UUID NOT NULL,
    PRIMARY KEY (site_uuid, alias)
);

CREATE TABLE activities (
    site_uuid   UUID   NOT NULL,
    lead_id     UUID   NOT NULL,
    seq         BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY, -- the order in which they came
    digest      BYTEA  NOT NULL,
    activity    TEXT   NOT NULL,
    PRIMARY KEY (site_uuid, lead_id, digest)
);

CREATE TABLE idempotency_keys (
    site_uuid   UUID   NOT NULL,
    key         TEXT   COLLATE "C" NOT NULL,
    request     BYTEA  NOT NULL,
    lead_id     UUID   NOT NULL,
    effect      TEXT   NOT NULL,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (site_uuid, key)
);
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

-- Deliveries --------------------------------------------------------------------------------------------------------

-- What waits is a queue, and what is over is a log, so that the cost of a delivery does not depend on how many there were:
-- the queue stays as small as its backlog, and old days of the log are dropped whole. A delivery is in one of the two, and
-- keeps its id and seq when it is moved. Neither has foreign keys: a subscription that has deliveries is never deleted
-- before them, a body moves in the same statement as its delivery, and checking both again for each row costs a lock.

-- The queue. Deliveries of one lead to one subscription form a lane. Only the head of a lane has a due_at.
CREATE TABLE deliveries (
    site_uuid       UUID   NOT NULL,
    seq             BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY, -- the order of commits within a lane
    id              UUID   NOT NULL,
    subscription_id UUID   NOT NULL,
    partner_id      UUID   NOT NULL,
    lead_id         UUID   NOT NULL,
    action          TEXT   NOT NULL,
    changed_at      BIGINT NOT NULL,
    -- Place within the lane: the order of commits, except that a replayed delivery stands behind what waits there.
    position        BIGINT NOT NULL,
    attempts        BIGINT NOT NULL DEFAULT 0,
    -- Nobody leases it before. What was written under a lease is due when that runs out.
    due_at          BIGINT,
    -- NULL: nobody has had it in his hands since it was written or its last attempt was recorded. Zeros: nobody has, but
    -- somebody had, who may have sent it.
    lease           UUID,
    -- When the lease of what was due runs out; nobody else leases it before. It is apart from due_at, and in no index, so that
    -- a lease changes no index.
    leased_until    BIGINT,
    PRIMARY KEY (site_uuid, seq) -- a site's, newest first
) WITH (fillfactor = 50); -- A lease writes the row anew beside the old one, and so needs as much room again in its page.
CREATE UNIQUE INDEX deliveries_by_id ON deliveries (id, site_uuid);
CREATE INDEX deliveries_by_age ON deliveries (seq); -- those of a batch of outcomes; everything, newest first
CREATE INDEX deliveries_due ON deliveries (subscription_id, due_at, seq) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_lane ON deliveries (subscription_id, lead_id, position);

-- Apart from the queue, because those rows are rewritten by each lease, and these only when an attempt has failed.
CREATE TABLE delivery_bodies (
    site_uuid    UUID   NOT NULL,
    delivery_seq BIGINT NOT NULL,
    body         BYTEA  NOT NULL,
    -- The attempts so far, oldest first, each a line of JSON (which writes a NUL in other words); NULL: none yet.
    story        TEXT,
    PRIMARY KEY (delivery_seq, site_uuid)
);

-- Every delivery leaves some dead rows in the queue, however small that is: vacuum comes after a number of them, not after a
-- share of a table that is empty at one moment and long at the next. Of a long one it waits for a tenth, because it reads
-- all indexes each time.
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 5000);
ALTER TABLE delivery_bodies SET (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_threshold = 5000);

-- The log: what is over, in partitions by the day on which it finished. `migrate` and housekeeping make them ahead, and
-- housekeeping drops those that are past (see partitions.rs).
CREATE TABLE delivery_log (
    site_uuid       UUID   NOT NULL,
    seq             BIGINT NOT NULL, -- that of the queue
    id              UUID   NOT NULL,
    subscription_id UUID   NOT NULL,
    partner_id      UUID   NOT NULL,
    lead_id         UUID   NOT NULL,
    action          TEXT   NOT NULL,
    changed_at      BIGINT NOT NULL,
    state           TEXT   NOT NULL,
    attempts        BIGINT NOT NULL,
    finished_at     BIGINT NOT NULL,
    body            BYTEA  NOT NULL,
    story           TEXT
) PARTITION BY RANGE (finished_at);
-- No key is unique: it would have to contain finished_at, and so say nothing. What is moved here was unique in the queue.
CREATE INDEX delivery_log_by_id ON delivery_log (id); -- one delivery; replays
CREATE INDEX delivery_log_of_site ON delivery_log (site_uuid, seq); -- a site's, newest first; what a removed site left
CREATE INDEX delivery_log_by_age ON delivery_log (seq); -- everything, newest first
-- The rare ones, newest first, and the failed ones of a site that are replayed.
CREATE INDEX delivery_log_undelivered_of_site ON delivery_log (site_uuid, state, seq) WHERE state <> 'delivered';
CREATE INDEX delivery_log_undelivered ON delivery_log (state, seq) WHERE state <> 'delivered';

-- The net below: what finishes on a day that has no partition, by a clock that is wrong or after days without
-- housekeeping. Its rows are deleted one by one.
CREATE TABLE delivery_log_default PARTITION OF delivery_log DEFAULT;
CREATE INDEX delivery_log_default_by_end ON delivery_log_default (finished_at);

-- The operator's key -------------------------------------------------------------------------------------------------

-- One row: a word that only the right secret_key opens.
CREATE TABLE key_check (
    only_row BOOLEAN NOT NULL PRIMARY KEY CHECK (only_row),
    sealed   BYTEA   NOT NULL
);

-- Moving in ---------------------------------------------------------------------------------------------------------

-- One row once a gateway has been copied into this database. Until the copy is finished, nobody serves it.
CREATE TABLE copy_mark (
    only_row BOOLEAN NOT NULL PRIMARY KEY CHECK (only_row),
    -- What the source held: a hash of the counts and checksums of its tables.
    source   BYTEA   NOT NULL,
    -- How many of its rows are written, in the order in which they are copied.
    rows     BIGINT  NOT NULL,
    finished BOOLEAN NOT NULL
);
