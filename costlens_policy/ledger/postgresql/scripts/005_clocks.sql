-- The buckets that the clocks of an account with a rolling window showed last, the latest asked last.
ALTER TABLE @ledger.accounts ADD COLUMN clocks bigint[] NOT NULL DEFAULT '{}';
