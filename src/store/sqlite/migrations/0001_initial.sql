-- UUIDs are 16-byte BLOBs, hashes 32-byte BLOBs, times INTEGER milliseconds since 1970, JSON is TEXT.
-- Tables that have a site lead their key with it, so that every look-up starts from the tenant.

-- Who there is ------------------------------------------------------------------------------------------------------

CREATE TABLE users (
    id          BLOB    NOT NULL PRIMARY KEY,
    email       TEXT    NOT NULL UNIQUE,
    name        TEXT    NOT NULL,
    operator    INTEGER NOT NULL,
    password    TEXT,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    hash        BLOB    NOT NULL PRIMARY KEY,
    id          BLOB    NOT NULL,
    user_id     BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    agent       TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    used_at     INTEGER NOT NULL,
    -- Moves with each use that is written down.
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

-- Links with which people set a password: one of each kind for a person.
CREATE TABLE password_links (
    user_id     BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    kind        TEXT    NOT NULL,
    hash        BLOB    NOT NULL UNIQUE,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (user_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX password_links_by_expiry ON password_links (expires_at);

-- A removed site stays until purge has deleted what it left; to every read it is gone at once.
CREATE TABLE sites (
    site_uuid   BLOB    NOT NULL PRIMARY KEY,
    domain      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    removed_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX sites_removed ON sites (removed_at) WHERE removed_at IS NOT NULL;

CREATE TABLE site_owners (
    site_uuid   BLOB NOT NULL REFERENCES sites (site_uuid) ON DELETE CASCADE,
    user_id     BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    PRIMARY KEY (site_uuid, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX site_owners_by_user ON site_owners (user_id);

-- A removed partner stays, because the delivery log names it; its slug is free again.
CREATE TABLE partners (
    id          BLOB    NOT NULL PRIMARY KEY,
    slug        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    client_id   TEXT    NOT NULL UNIQUE,
    secret      BLOB    NOT NULL,
    echo        INTEGER NOT NULL,
    merge_updates INTEGER NOT NULL,
    require_pkce INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    removed_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX partners_by_slug ON partners (slug) WHERE removed_at IS NULL;

CREATE TABLE redirect_uris (
    partner_id  BLOB    NOT NULL REFERENCES partners (id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,
    uri         TEXT    NOT NULL,
    PRIMARY KEY (partner_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE sources (
    id          BLOB    NOT NULL PRIMARY KEY,
    username    TEXT    NOT NULL UNIQUE,
    password    BLOB    NOT NULL,
    -- 1: every site, also those added later; 0: the ones in source_sites, also when none is left.
    all_sites   INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE source_sites (
    source_id   BLOB NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    site_uuid   BLOB NOT NULL REFERENCES sites (site_uuid) ON DELETE CASCADE,
    PRIMARY KEY (source_id, site_uuid)
) STRICT, WITHOUT ROWID;
CREATE INDEX source_sites_by_site ON source_sites (site_uuid);

-- OAuth -------------------------------------------------------------------------------------------------------------

-- One consent, and the family of all tokens that descend from it.
CREATE TABLE grants (
    id          BLOB    NOT NULL PRIMARY KEY,
    -- The authorization request that was approved: UNIQUE makes it approvable once.
    flow        BLOB    NOT NULL UNIQUE,
    site_uuid   BLOB    NOT NULL,
    partner_id  BLOB    NOT NULL,
    user_id     BLOB    NOT NULL,
    scopes      TEXT    NOT NULL,
    generation  INTEGER NOT NULL DEFAULT 0,
    rotated_at  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    -- From then on nothing of the family is alive.
    ends_at     INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_by_site ON grants (site_uuid);
CREATE INDEX grants_by_partner ON grants (partner_id);
CREATE INDEX grants_by_user ON grants (user_id);
CREATE INDEX grants_by_end ON grants (ends_at);

-- A used code is kept as long as its grant, so that a replay is recognised (RFC 6749 section 4.1.2).
CREATE TABLE authorization_codes (
    hash         BLOB    NOT NULL PRIMARY KEY,
    grant_id     BLOB    NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    redirect_uri TEXT    NOT NULL,
    challenge    TEXT,
    expires_at   INTEGER NOT NULL,
    used_at      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX authorization_codes_by_grant ON authorization_codes (grant_id);

-- The newest ones of a grant are kept after they have expired: whoever revokes one ends the grant (RFC 7009 section 2.1).
-- The next refresh deletes them; it looks at no others, however many are alive.
CREATE TABLE access_tokens (
    hash        BLOB    NOT NULL PRIMARY KEY,
    grant_id    BLOB    NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    scopes      TEXT    NOT NULL,
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_tokens_by_grant ON access_tokens (grant_id, expires_at);

-- A replaced token is kept until it would have expired, so that a replay is recognised (RFC 9700 section 4.14.2).
CREATE TABLE refresh_tokens (
    hash        BLOB    NOT NULL PRIMARY KEY,
    grant_id    BLOB    NOT NULL REFERENCES grants (id) ON DELETE CASCADE,
    generation  INTEGER NOT NULL,
    issued_at   INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (expires_at);

-- How often somebody may still be wrong (src/model/throttle.rs). No row: as often as there is room for.
CREATE TABLE guess_buckets (
    key         BLOB    NOT NULL PRIMARY KEY,
    full_at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX guess_buckets_by_level ON guess_buckets (full_at);

-- Subscriptions -----------------------------------------------------------------------------------------------------

-- Not UNIQUE per site and partner: old data can hold duplicates. A removed one stays as long as the delivery log
-- names it.
CREATE TABLE subscriptions (
    seq          INTEGER PRIMARY KEY,
    id           BLOB    NOT NULL UNIQUE,
    site_uuid    BLOB    NOT NULL,
    partner_id   BLOB    NOT NULL,
    url          TEXT    NOT NULL,
    secret       BLOB    NOT NULL,
    -- With whose permission it was set; NULL: by the operator.
    user_id      BLOB,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    paused_at    INTEGER,
    removed_at   INTEGER,
    -- 1: removed, and nothing waits for it any more.
    swept        INTEGER NOT NULL DEFAULT 0,
    -- When to look for due deliveries next: at the latest when the first one falls due. While some are due already, it
    -- is the subscription's place in the line of those that are to be served. NULL: none can be due.
    next_due_at  INTEGER
) STRICT;
CREATE INDEX subscriptions_live ON subscriptions (site_uuid, partner_id) WHERE removed_at IS NULL;
CREATE INDEX subscriptions_by_partner ON subscriptions (partner_id) WHERE removed_at IS NULL;
CREATE INDEX subscriptions_by_user ON subscriptions (user_id) WHERE removed_at IS NULL;
CREATE INDEX subscriptions_removed ON subscriptions (site_uuid) WHERE removed_at IS NOT NULL;
CREATE INDEX subscriptions_due ON subscriptions (next_due_at)
    WHERE next_due_at IS NOT NULL AND paused_at IS NULL AND removed_at IS NULL;
CREATE INDEX subscriptions_unswept ON subscriptions (removed_at) WHERE removed_at IS NOT NULL AND swept = 0;
CREATE INDEX subscriptions_swept ON subscriptions (removed_at) WHERE removed_at IS NOT NULL AND swept = 1;

-- Leads -------------------------------------------------------------------------------------------------------------

CREATE TABLE leads (
    seq         INTEGER PRIMARY KEY, -- the older lead has the smaller one
    site_uuid   BLOB    NOT NULL,
    id          BLOB    NOT NULL,
    email_key   TEXT,
    fields      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX leads_by_id ON leads (site_uuid, id);
CREATE INDEX leads_by_email ON leads (site_uuid, email_key) WHERE email_key IS NOT NULL;

-- Ids that callers gave to leads that already had one.
CREATE TABLE lead_aliases (
    site_uuid   BLOB NOT NULL,
    alias       BLOB NOT NULL,
    lead_id     BLOB NOT NULL,
    PRIMARY KEY (site_uuid, alias)
) STRICT, WITHOUT ROWID;

CREATE TABLE activities (
    seq         INTEGER PRIMARY KEY, -- the order in which they came
    site_uuid   BLOB NOT NULL,
    lead_id     BLOB NOT NULL,
    digest      BLOB NOT NULL,
    activity    TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX activities_by_lead ON activities (site_uuid, lead_id, digest);

CREATE TABLE idempotency_keys (
    site_uuid   BLOB    NOT NULL,
    key         TEXT    NOT NULL,
    request     BLOB    NOT NULL,
    lead_id     BLOB    NOT NULL,
    effect      TEXT    NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (site_uuid, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_keys_by_expiry ON idempotency_keys (expires_at);

-- Deliveries --------------------------------------------------------------------------------------------------------

-- Deliveries of one lead to one subscription form a lane. Only the head of a lane has a due_at.
-- There is no foreign key to subscriptions: checking it would need one more index on the busiest table, and a
-- subscription that has deliveries is never deleted before them.
CREATE TABLE deliveries (
    seq             INTEGER PRIMARY KEY, -- the order of commits
    id              BLOB    NOT NULL UNIQUE,
    site_uuid       BLOB    NOT NULL,
    subscription_id BLOB    NOT NULL,
    partner_id      BLOB    NOT NULL,
    lead_id         BLOB    NOT NULL,
    action          TEXT    NOT NULL,
    changed_at      INTEGER NOT NULL,
    state           TEXT    NOT NULL,
    -- Place within the lane: the order of commits, except that a replayed delivery stands behind what waits there.
    position        INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0,
    -- Under a lease: when the lease runs out.
    due_at          INTEGER,
    -- NULL: nobody has had it in his hands since it was written or its last attempt was recorded. Zeros: nobody has, but
    -- somebody had, who may have sent it.
    lease           BLOB,
    finished_at     INTEGER,
    -- The attempts so far, oldest first, each a line of JSON; NULL: none yet.
    story           TEXT
) STRICT;
CREATE INDEX deliveries_due ON deliveries (subscription_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX deliveries_lane ON deliveries (subscription_id, lead_id, position) WHERE state = 'waiting';
CREATE INDEX deliveries_leased ON deliveries (subscription_id)
    WHERE lease > x'00000000000000000000000000000000';
CREATE INDEX deliveries_by_site ON deliveries (site_uuid);
CREATE INDEX deliveries_undelivered ON deliveries (site_uuid, state) WHERE state IN ('refused', 'failed');
CREATE INDEX deliveries_finished ON deliveries (finished_at) WHERE finished_at IS NOT NULL;

-- Apart from the deliveries, because those rows are rewritten by each lease and outcome, and a body never is.
CREATE TABLE delivery_bodies (
    delivery_seq INTEGER PRIMARY KEY REFERENCES deliveries (seq) ON DELETE CASCADE,
    body         BLOB NOT NULL
) STRICT;

-- Subscriptions that were removed or changed, for other processes on this database to hear of; see recalls.rs.
CREATE TABLE recalls (
    seq             INTEGER PRIMARY KEY,
    subscription_id BLOB NOT NULL
) STRICT;

-- The operator's key -------------------------------------------------------------------------------------------------

-- One row: a word that only the right secret_key opens.
CREATE TABLE key_check (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    sealed   BLOB    NOT NULL
) STRICT, WITHOUT ROWID;
