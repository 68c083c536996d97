-- The functions of the ledger, replaced with every version. Accounts are locked one by one in the order of their names, a call
-- before its accounts, so that no two transactions wait for each other.
--
-- An account comes as an array: name, budget, key, unit, period, start, reset, length, width of its buckets. The width of a window from
-- first use is its length, less than nothing; its buckets are windows, under the microsecond at which each began, and `bucket` is the one
-- in force. In answers, such an account has the start of that one.

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

-- When the window from first use began that counts at `now`; see `account.py`.
CREATE OR REPLACE FUNCTION @ledger.window_at(of_account bigint, length bigint, now bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT bucket FROM @ledger.buckets WHERE account = of_account AND bucket > now - length AND bucket < now + length
    ORDER BY bucket > now, bucket LIMIT 1
$$;

CREATE OR REPLACE FUNCTION @ledger.used_in_bucket(of_account bigint, of_bucket bigint) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT used FROM @ledger.buckets WHERE account = of_account AND bucket = of_bucket), 0)
$$;

-- When the window from first use began that counts at `now`, of the account of a name.
CREATE OR REPLACE FUNCTION @ledger.window_of(of_name text, now bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT @ledger.window_at(id, -width, now) FROM @ledger.accounts WHERE name = of_name AND width < 0
$$;

-- Begin a window from first use, unless one is in force.
CREATE OR REPLACE FUNCTION @ledger.begin_window(INOUT a @ledger.accounts, now bigint)
LANGUAGE plpgsql AS $$
BEGIN
    IF a.width >= 0 OR a.bucket IS NOT NULL THEN
        RETURN;
    END IF;
    DELETE FROM @ledger.buckets WHERE account = a.id AND bucket IN (
        SELECT bucket FROM @ledger.buckets WHERE account = a.id ORDER BY bucket DESC OFFSET 15);
    INSERT INTO @ledger.buckets (account, bucket, used) VALUES (a.id, now, 0);
    a.bucket := now;
    a.used := 0;
END $$;

-- Add to what a window from first use has used, beginning one where none is in force at a time.
CREATE OR REPLACE FUNCTION @ledger.charge_window(INOUT a @ledger.accounts, counted_at bigint, amount numeric)
LANGUAGE plpgsql AS $$
BEGIN
    IF amount = 0 THEN
        RETURN;
    END IF;
    a.bucket := @ledger.window_at(a.id, -a.width, counted_at);
    a.used := @ledger.used_in_bucket(a.id, a.bucket);
    a := @ledger.begin_window(a, counted_at);
    UPDATE @ledger.buckets SET used = used + amount WHERE account = a.id AND bucket = a.bucket;
    a.used := a.used + amount;
END $$;

-- An account as answers have it: with the start of its window from first use.
CREATE OR REPLACE FUNCTION @ledger.shown(given jsonb, a @ledger.accounts) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN a.width < 0 THEN jsonb_set(given, '{5}', coalesce(to_jsonb(a.bucket), 'null')) ELSE given END
$$;

-- Lock an account, making it where it is not there yet, free what has expired, and make a window that of `now`.
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
    ELSIF a.width < 0 AND NOT coalesce(a.bucket <= now AND now < a.bucket - a.width, false) THEN
        now_bucket := @ledger.window_at(a.id, -a.width, now);
        IF a.bucket IS DISTINCT FROM now_bucket THEN
            a.bucket := now_bucket;
            a.used := @ledger.used_in_bucket(a.id, now_bucket);
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
    SELECT CASE WHEN a.width < 0 THEN @ledger.used_in_bucket(a.id, @ledger.window_at(a.id, -a.width, now))
            WHEN a.width > 0 AND a.bucket IS DISTINCT FROM now / a.width
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
LANGUAGE plpgsql AS $$
DECLARE
    a @ledger.accounts;
BEGIN
    SELECT * INTO a FROM @ledger.accounts WHERE id = of_account;
    IF a.width < 0 THEN
        PERFORM @ledger.save(@ledger.charge_window(a, now, amount - a.used));
        RETURN;
    END IF;
    DELETE FROM @ledger.buckets WHERE account = of_account;
    IF a.width > 0 THEN
        INSERT INTO @ledger.buckets (account, bucket, used) VALUES (of_account, now / a.width, amount);
    END IF;
    UPDATE @ledger.accounts SET used = amount WHERE id = of_account;
END $$;
