-- The functions of the ledger, replaced with every version. Accounts are locked one by one in the order of their names, a call
-- before its accounts, so that no two transactions wait for each other.
--
-- An account comes as an array: name, budget, key, unit, period, start, reset, length, width of its buckets.

CREATE OR REPLACE FUNCTION @ledger.used_in_window(of_account bigint, now_bucket bigint) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(used), 0) FROM @ledger.buckets WHERE account = of_account AND bucket >= now_bucket - 120
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
            DELETE FROM @ledger.buckets WHERE account = a.id AND bucket <=
                (SELECT bucket FROM @ledger.buckets WHERE account = a.id ORDER BY bucket DESC OFFSET 360 LIMIT 1);
            a.bucket := now_bucket;
            a.used := @ledger.used_in_window(a.id, now_bucket);
            changed := true;
        END IF;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION @ledger.save(a @ledger.accounts) RETURNS void
LANGUAGE sql AS $$
    UPDATE @ledger.accounts SET used = a.used, held = a.held, generation = a.generation, next_end = a.next_end, bucket = a.bucket
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

CREATE OR REPLACE FUNCTION @ledger.limit_in_force(of_scope text, of_period text, now bigint, policy_limit numeric) RETURNS numeric
LANGUAGE plpgsql STABLE AS $$
DECLARE
    found jsonb;
    granted jsonb;
    replaced numeric := policy_limit;
    added numeric := 0;
BEGIN
    SELECT grants INTO found FROM @ledger.grants WHERE scope = of_scope;
    FOR granted IN SELECT value FROM jsonb_array_elements(found) LOOP
        CONTINUE WHEN (granted->>2)::bigint <= now;
        IF granted->>0 = 'override' THEN
            replaced := (granted->>1)::numeric;
        ELSIF granted->>3 = of_period THEN
            added := added + (granted->>1)::numeric;
        END IF;
    END LOOP;
    RETURN replaced + added;
END $$;

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

-- Whether a line has no room at first sight, and nothing that has expired is waiting to be freed. What is granted, and what has left
-- a rolling window, is not looked at, so there may be room.
CREATE OR REPLACE FUNCTION @ledger.looks_full(asked jsonb, now bigint) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT coalesce(bool_or(a.used + a.held + (line.value->>2)::numeric > (line.value->>3)::numeric), false)
        AND NOT coalesce(bool_or(a.next_end <= now / 1000000), false)
    FROM jsonb_array_elements(asked) AS line JOIN @ledger.accounts AS a ON a.name = line.value->0->>0
$$;

-- The lines as `reserve` returns them, without a lock, and whether all have room.
CREATE OR REPLACE FUNCTION @ledger.look(asked jsonb, now bigint, OUT lines jsonb, OUT room boolean)
LANGUAGE sql STABLE AS $$
    SELECT jsonb_agg(jsonb_build_array(line->0, line->1, amount, in_force, used, held, NULL, line->4)),
        coalesce(bool_and(used + held + amount <= in_force), true)
    FROM (SELECT line.value AS line, (line.value->>2)::numeric AS amount,
            CASE WHEN line.value->>3 IS NOT NULL THEN @ledger.limit_in_force(
                line.value->>1, line.value->0->>4, now, (line.value->>3)::numeric) END AS in_force,
            coalesce(balance.used, 0) AS used, coalesce(balance.held, 0) AS held
        FROM jsonb_array_elements(asked) AS line LEFT JOIN @ledger.balance(line.value->0->>0, now) AS balance ON true) AS seen
$$;

-- Hold every line, or none. A line is an array: account, scope, amount, limit, place; they are in the order of the names.
-- Returns what happened ('held', 'refused', 'known') and the lines: account, scope, amount, limit, used, held, generation, place.
-- A call that has no room is refused without a lock, so that a budget that is spent costs others nothing.
CREATE OR REPLACE FUNCTION @ledger.reserve(call text, now bigint, until_second bigint, call_facts text, asked jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    known @ledger.calls;
    line jsonb;
    t record;
    a @ledger.accounts;
    touched @ledger.accounts[] := '{}';
    changed boolean[] := '{}';
    created bigint[] := '{}';
    in_force numeric;
    room boolean := true;
    lines jsonb := '[]';
    place integer := 0;
BEGIN
    SELECT * INTO known FROM @ledger.calls WHERE id = call;
    IF FOUND THEN
        RETURN jsonb_build_array('known', known.lines, known.ends_at, known.released, known.settled_at);
    END IF;
    IF @ledger.looks_full(asked, now) THEN
        SELECT * INTO t FROM @ledger.look(asked, now);
        IF NOT t.room THEN
            RETURN jsonb_build_array('refused', t.lines);
        END IF;
    END IF;
    FOR line IN SELECT value FROM jsonb_array_elements(asked) LOOP
        SELECT * INTO t FROM @ledger.touch(line->0, now);
        a := t.a;
        touched := touched || a;
        changed := changed || t.changed;
        IF t.created THEN
            created := created || a.id;
        END IF;
        in_force := NULL;
        IF line->>3 IS NOT NULL THEN
            in_force := @ledger.limit_in_force(line->>1, line->0->>4, now, (line->>3)::numeric);
            room := room AND a.used + a.held + (line->>2)::numeric <= in_force;
        END IF;
        lines := lines || jsonb_build_array(jsonb_build_array(
            line->0, line->1, line->2, in_force, a.used, a.held, NULL, line->4));
    END LOOP;
    FOREACH a IN ARRAY touched LOOP
        IF room THEN
            line := lines->place;
            lines := jsonb_set(lines, ARRAY[place::text, '6'],
                to_jsonb(@ledger.hold(a.id, until_second, a.generation, (line->>2)::numeric)));
            a.held := a.held + (line->>2)::numeric;
            a.next_end := least(a.next_end, until_second);
        END IF;
        place := place + 1;
        IF room OR changed[place] THEN
            PERFORM @ledger.save(a);
        END IF;
    END LOOP;
    IF NOT room THEN
        DELETE FROM @ledger.accounts WHERE id = ANY (created);
        RETURN jsonb_build_array('refused', lines);
    END IF;
    INSERT INTO @ledger.calls (id, reserved_at, ends_at, lines, facts) VALUES (call, now, until_second, lines, call_facts);
    RETURN jsonb_build_array('held', lines);
END $$;

-- Replace what is held by what was charged, once. A charge is an array: account, scope, amount.
-- Returns what happened ('settled', 'known', 'unknown'), whether late, when, and the lines: account, amount, what had been held, used
-- and held after it, whether charged, place (that of the hold, then those that were not held in the order of the charges).
CREATE OR REPLACE FUNCTION @ledger.settle(call text, now bigint, charged_facts text, charges jsonb, or_unknown boolean) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    c @ledger.calls;
    line record;
    t record;
    a @ledger.accounts;
    was_late boolean;
    counted_at bigint;
    result jsonb := '[]';
    entry bigint;
    first bigint;
BEGIN
    SELECT * INTO c FROM @ledger.calls WHERE id = call FOR UPDATE;
    IF NOT FOUND THEN
        IF NOT or_unknown THEN
            RETURN jsonb_build_array('unknown');
        END IF;
        INSERT INTO @ledger.calls (id, reserved_at, lines, facts) VALUES (call, now, '[]', '{}') RETURNING * INTO c;
    ELSIF c.settled_at IS NOT NULL THEN
        RETURN jsonb_build_array('known', c.late, c.settled_at, c.charged);
    END IF;
    was_late := c.ends_at IS NOT NULL AND (c.released OR now >= c.ends_at * 1000000);
    counted_at := greatest(now, c.reserved_at);
    FOR line IN
        SELECT coalesce(h.value->0, x.value->0) AS account, (h.value->>2)::numeric AS was_held, (h.value->>6)::bigint AS generation,
            (x.value->>2)::numeric AS amount, coalesce((h.value->>7)::bigint, 1000 + x.ordinality) AS place
        FROM jsonb_array_elements(c.lines) AS h
            FULL JOIN jsonb_array_elements(charges) WITH ORDINALITY AS x ON h.value->>1 = x.value->>1
        ORDER BY coalesce(h.value->0->>0, x.value->0->>0) COLLATE "C"
    LOOP
        SELECT * INTO t FROM @ledger.touch(line.account, now);
        a := t.a;
        IF line.was_held IS NOT NULL AND NOT c.released THEN
            IF @ledger.unhold(a.id, c.ends_at, line.generation, line.was_held) THEN
                a.held := a.held - line.was_held;
            ELSE
                was_late := true;
            END IF;
        END IF;
        a.used := a.used + coalesce(line.amount, 0);
        IF a.width > 0 AND line.amount IS NOT NULL THEN
            INSERT INTO @ledger.buckets AS b (account, bucket, used) VALUES (a.id, counted_at / a.width, line.amount)
            ON CONFLICT (account, bucket) DO UPDATE SET used = b.used + excluded.used;
        END IF;
        PERFORM @ledger.save(a);
        result := result || jsonb_build_array(jsonb_build_array(line.account, coalesce(line.amount, 0), coalesce(line.was_held, 0),
            a.used, a.held, line.amount IS NOT NULL, line.place, a.id));
    END LOOP;
    FOR line IN SELECT value FROM jsonb_array_elements(result) WHERE value->5 = 'true' ORDER BY (value->>6)::bigint LOOP
        INSERT INTO @ledger.entries (at, kind, source, account, amount, was_held)
        VALUES (now, 'charge', c.number, (line.value->>7)::bigint, (line.value->>1)::numeric, (line.value->>2)::numeric)
        RETURNING id INTO entry;
        first := coalesce(first, entry);
    END LOOP;
    UPDATE @ledger.calls SET settled_at = now, late = was_late, charged = result, more_facts = charged_facts,
        first_entry = first, last_entry = entry WHERE number = c.number;
    RETURN jsonb_build_array('settled', was_late, now, result);
END $$;

CREATE OR REPLACE FUNCTION @ledger.release(call text, now bigint) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    c @ledger.calls;
    line jsonb;
    t record;
    a @ledger.accounts;
BEGIN
    SELECT * INTO c FROM @ledger.calls WHERE id = call FOR UPDATE;
    IF NOT FOUND THEN
        RETURN 'unknown';
    ELSIF c.settled_at IS NOT NULL THEN
        RETURN 'settled';
    ELSIF c.released THEN
        RETURN 'released';
    END IF;
    FOR line IN SELECT value FROM jsonb_array_elements(c.lines) ORDER BY (value->0->>0) COLLATE "C" LOOP
        SELECT * INTO t FROM @ledger.touch(line->0, now);
        a := t.a;
        IF @ledger.unhold(a.id, c.ends_at, (line->>6)::bigint, (line->>2)::numeric) THEN
            a.held := a.held - (line->>2)::numeric;
        END IF;
        PERFORM @ledger.save(a);
    END LOOP;
    UPDATE @ledger.calls SET released = true WHERE number = c.number;
    RETURN 'released';
END $$;

-- Make a lease last longer. Returns what the call is, and the end of its lease.
CREATE OR REPLACE FUNCTION @ledger.extend(call text, now bigint, until_second bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    c @ledger.calls;
    line jsonb;
    t record;
    a @ledger.accounts;
    place integer := 0;
    stands boolean := true;
BEGIN
    SELECT * INTO c FROM @ledger.calls WHERE id = call FOR UPDATE;
    IF c.ends_at IS NULL THEN
        RETURN jsonb_build_array('unknown');
    ELSIF c.settled_at IS NOT NULL OR c.released THEN
        RETURN jsonb_build_array(CASE WHEN c.released AND c.settled_at IS NULL THEN 'released' ELSE 'settled' END, c.ends_at);
    ELSIF now >= c.ends_at * 1000000 THEN
        RETURN jsonb_build_array('expired', c.ends_at);
    END IF;
    FOR line IN SELECT value FROM jsonb_array_elements(c.lines) ORDER BY (value->0->>0) COLLATE "C" LOOP
        SELECT * INTO t FROM @ledger.touch(line->0, now);
        PERFORM @ledger.save(t.a);
        stands := stands AND EXISTS (SELECT 1 FROM @ledger.ends
            WHERE account = (t.a).id AND second = c.ends_at AND generation = (line->>6)::bigint);
    END LOOP;
    IF NOT stands THEN
        RETURN jsonb_build_array('expired', c.ends_at);
    ELSIF until_second <= c.ends_at THEN
        RETURN jsonb_build_array('held', c.ends_at);
    END IF;
    FOR line IN SELECT value FROM jsonb_array_elements(c.lines) LOOP
        SELECT * INTO a FROM @ledger.accounts WHERE name = line->0->>0;
        PERFORM @ledger.unhold(a.id, c.ends_at, (line->>6)::bigint, (line->>2)::numeric);
        c.lines := jsonb_set(c.lines, ARRAY[place::text, '6'],
            to_jsonb(@ledger.hold(a.id, until_second, a.generation, (line->>2)::numeric)));
        a.next_end := least(a.next_end, until_second);
        PERFORM @ledger.save(a);
        place := place + 1;
    END LOOP;
    UPDATE @ledger.calls SET ends_at = until_second, lines = c.lines WHERE number = c.number;
    RETURN jsonb_build_array('held', until_second);
END $$;

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
