-- What is set aside on accounts (`parent`) for the shares of others, and which calls end a share.
CREATE TABLE @ledger.shares (
    account bigint PRIMARY KEY, parent bigint NOT NULL, second bigint NOT NULL, generation bigint NOT NULL, rest numeric NOT NULL,
    lease bigint NOT NULL, ends jsonb NOT NULL
) WITH (fillfactor = 60);
CREATE INDEX shares_of_account ON @ledger.shares (parent, second);
CREATE TABLE @ledger.share_ends (call text COLLATE "C" NOT NULL, account bigint NOT NULL, PRIMARY KEY (call, account));
