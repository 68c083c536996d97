-- The functions of the ledger, replaced with every version. Accounts are locked one by one in the order of their names, a call
-- before its accounts, so that no two transactions wait for each other.
--
-- An account comes as an array: name, budget, key, unit, period, start, reset, length, width of its buckets.

CREATE OR REPLACE FUNCTION @ledger.used_in_window(of_account bigint, now_bucket bigint) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(used), 0) FROM @ledger.buckets WHERE account = of_account AND bucket >= now_bucket - 120
$$;

-- The clocks, the latest asked last, once one of them has shown a bucket; see `buckets.py`.
CREATE OR REPLACE FUNCTION @ledger.clocks_after(clocks bigint[], now_bucket bigint) RETURNS bigint[]
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    clocks := array_remove(clocks, (SELECT max(clock) FROM unnest(clocks) AS clock WHERE clock BETWEEN now_bucket - 60 AND now_bucket))
        || now_bucket;
    RETURN clocks[greatest(1, cardinality(clocks) - 15):];
END $$;

-- Delete the buckets that are too old for each clock that is not behind them.
CREATE OR REPLACE FUNCTION @ledger.forget_buckets(of_account bigint, clocks bigint[]) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM @ledger.buckets WHERE account = of_account
        AND (SELECT count(*) FROM @ledger.buckets WHERE account = of_account) > 360
        AND bucket <= (SELECT max(clock) FROM unnest(clocks) AS clock)
        AND NOT EXISTS (SELECT 1 FROM unnest(clocks) AS clock WHERE bucket > clock - 360 AND bucket <= clock)
$$;

-- Lock an account, making it where it is not there yet, free what has expired, and move a rolling window to `now`.
CREATE OR REPLACE FUNCTION @ledger.touch(
    given jsonb, now bigint, OUT a @ledger.accounts, OUT created boolean, OUT changed boolean)
LANGUAGE plpgsql AS $$
DECLARE
    freed numeric;
    now_second bigint := now / 1000000;
    now_bucket bigint;
BEGIN
    created := false;
    changed := false;
    LOOP
        SELECT * INTO a FROM @ledger.accounts WHERE name = given->>0 FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO @ledger.accounts (name, budget, key, unit, period, starts_at, resets_at, rolling, width, used, held, generation)
        VALUES (given->>0, given->>1, given->>2, given->>3, given->>4, (given->>5)::bigint, (given->>6)::bigint,
            (given->>7)::bigint, (given->>8)::bigint, 0, 0, 0)
        ON CONFLICT (name) DO NOTHING;
        created := FOUND;
    END LOOP;
    IF a.next_end <= now_second THEN
        WITH gone AS (DELETE FROM @ledger.ends WHERE account = a.id AND second <= now_second RETURNING held)
        SELECT coalesce(sum(held), 0) INTO freed FROM gone;
        a.held := a.held - freed;
        a.next_end := (SELECT min(second) FROM @ledger.ends WHERE account = a.id);
        a.generation := a.generation + 1;
        changed := true;
    END IF;
    IF a.width > 0 THEN
        now_bucket := now / a.width;
        IF a.bucket IS DISTINCT FROM now_bucket THEN
            IF a.bucket IS NOT NULL AND cardinality(a.clocks) = 0 THEN
                a.clocks := ARRAY[a.bucket];  -- the table is older than its clocks
            END IF;
            a.clocks := @ledger.clocks_after(a.clocks, now_bucket);
            PERFORM @ledger.forget_buckets(a.id, a.clocks);
            a.bucket := now_bucket;
            a.used := @ledger.used_in_window(a.id, now_bucket);
            changed := true;
        END IF;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION @ledger.save(a @ledger.accounts) RETURNS void
LANGUAGE sql AS $$
    UPDATE @ledger.accounts SET used = a.used, held = a.held, generation = a.generation, next_end = a.next_end, bucket = a.bucket,
        clocks = a.clocks
    WHERE id = a.id
$$;

-- Give back what an account holds for a call; false where it has been freed already.
CREATE OR REPLACE FUNCTION @ledger.unhold(of_account bigint, of_second bigint, of_generation bigint, amount numeric) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE @ledger.ends SET held = held - amount
    WHERE account = of_account AND second = of_second AND generation = of_generation;
    RETURN FOUND;
END $$;

CREATE OR REPLACE FUNCTION @ledger.hold(of_account bigint, of_second bigint, of_generation bigint, amount numeric) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO @ledger.ends AS e (account, second, generation, held) VALUES (of_account, of_second, of_generation, amount)
    ON CONFLICT (account, second) DO UPDATE SET held = e.held + excluded.held
    RETURNING generation
$$;

-- What an account has used and holds at `now`, changing nothing.
CREATE OR REPLACE FUNCTION @ledger.balance(of_name text, now bigint, OUT used numeric, OUT held numeric)
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN a.width > 0 AND a.bucket IS DISTINCT FROM now / a.width
            THEN @ledger.used_in_window(a.id, now / a.width) ELSE a.used END,
        CASE WHEN a.next_end <= now / 1000000
            THEN a.held - (SELECT coalesce(sum(e.held), 0) FROM @ledger.ends AS e
                WHERE e.account = a.id AND e.second <= now / 1000000)
            ELSE a.held END
    FROM @ledger.accounts AS a WHERE a.name = of_name
$$;

-- Touch an account for an adjustment, and write it back.
CREATE OR REPLACE FUNCTION @ledger.touched(given jsonb, now bigint, OUT a @ledger.accounts)
LANGUAGE plpgsql AS $$
BEGIN
    SELECT (t.a).* INTO a FROM @ledger.touch(given, now) AS t;
    PERFORM @ledger.save(a);
END $$;

-- Make an amount what an account has used, from `now` on.
CREATE OR REPLACE FUNCTION @ledger.set_used(of_account bigint, now bigint, amount numeric) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM @ledger.buckets WHERE account = of_account;
    INSERT INTO @ledger.buckets (account, bucket, used)
    SELECT id, now / width, amount FROM @ledger.accounts WHERE id = of_account AND width > 0;
    UPDATE @ledger.accounts SET used = amount WHERE id = of_account;
$$;
