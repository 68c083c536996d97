-- `@ledger` stands for the schema of the ledger. Times are microseconds since 1970, ends of leases seconds.
-- Room is left in pages of what changes all the time, so that a new version of a row stands beside the old one.

CREATE TABLE @ledger.accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL UNIQUE,
    budget text NOT NULL, key text NOT NULL, unit text NOT NULL, period text NOT NULL,
    starts_at bigint, resets_at bigint, rolling bigint, width bigint NOT NULL,
    used numeric NOT NULL, held numeric NOT NULL,
    generation bigint NOT NULL, next_end bigint, bucket bigint
) WITH (fillfactor = 40);

CREATE TABLE @ledger.ends (
    account bigint NOT NULL, second bigint NOT NULL, generation bigint NOT NULL, held numeric NOT NULL,
    PRIMARY KEY (account, second)
) WITH (fillfactor = 60);

CREATE TABLE @ledger.buckets (
    account bigint NOT NULL, bucket bigint NOT NULL, used numeric NOT NULL,
    PRIMARY KEY (account, bucket)
) WITH (fillfactor = 60);

CREATE TABLE @ledger.calls (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    reserved_at bigint NOT NULL, ends_at bigint, lines jsonb NOT NULL, facts text NOT NULL,
    released boolean NOT NULL DEFAULT false,
    settled_at bigint, late boolean, charged jsonb, more_facts text, first_entry bigint, last_entry bigint
) WITH (fillfactor = 80);
CREATE INDEX open_calls ON @ledger.calls (ends_at, id) WHERE settled_at IS NULL AND NOT released;

CREATE TABLE @ledger.entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at bigint NOT NULL, kind text NOT NULL, source bigint NOT NULL, account bigint NOT NULL,
    amount numeric NOT NULL, was_held numeric NOT NULL
);
CREATE INDEX entries_of_account ON @ledger.entries (account, id);
CREATE INDEX entries_by_time ON @ledger.entries (at);
