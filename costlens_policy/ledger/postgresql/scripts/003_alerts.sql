CREATE TABLE @ledger.alerts (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    budget text NOT NULL, key text NOT NULL, period text NOT NULL, rung text NOT NULL, facts text NOT NULL,
    claimed_at bigint NOT NULL, visible_at bigint NOT NULL, attempts integer NOT NULL, problem text NOT NULL,
    delivered_at bigint
);
CREATE INDEX pending_alerts ON @ledger.alerts (visible_at, number) WHERE delivered_at IS NULL;
