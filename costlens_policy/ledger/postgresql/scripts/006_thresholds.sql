ALTER TABLE @ledger.alerts RENAME COLUMN rung TO threshold;
