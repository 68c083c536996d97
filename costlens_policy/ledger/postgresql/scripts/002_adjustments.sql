CREATE TABLE @ledger.adjustments (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text COLLATE "C" NOT NULL UNIQUE,
    balance jsonb NOT NULL, facts text NOT NULL, entry bigint
);
CREATE TABLE @ledger.grants (scope text COLLATE "C" PRIMARY KEY, grants jsonb NOT NULL);
