-- Carrying over; see `carrying.py`. A rule is an object: `windows`, the names of accounts, the latest first; `ends`, when the period of each
-- ends; `place`, that of the line's own window, the first of all being 1; `counting`, how many count even if nothing was used in them;
-- `share`, `most` and `periods`. It is the sixth value of a line that carries over.
--
-- Accounts are looked up one by one: a join could become a walk through all of them.

-- Free for good what has expired in windows of a line, those from one place to another: the earliest first, which is the order of names.
CREATE OR REPLACE FUNCTION @ledger.free_windows(line jsonb, now bigint, first_place integer, last_place integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    FOR place IN REVERSE least(last_place, jsonb_array_length(line->5->'windows')) .. first_place LOOP
        IF EXISTS (SELECT 1 FROM @ledger.accounts WHERE name = line->5->'windows'->>(place - 1) AND next_end <= now / 1000000) THEN
            PERFORM @ledger.touched(jsonb_build_array(line->5->'windows'->(place - 1)), now);
        END IF;
    END LOOP;
END $$;

-- What each window of a line has used and holds, NULL for one of which nothing is on record, and whether something that has expired is
-- held in one.
CREATE OR REPLACE FUNCTION @ledger.taken(line jsonb, now bigint, OUT taken numeric[], OUT expired boolean)
LANGUAGE plpgsql AS $$
DECLARE
    of_name text;
    amount numeric;
    ends_at bigint;
BEGIN
    expired := false;
    FOR of_name IN SELECT value FROM jsonb_array_elements_text(line->5->'windows') LOOP
        SELECT used + held, next_end INTO amount, ends_at FROM @ledger.accounts WHERE name = of_name;
        taken := array_append(taken, amount);
        expired := expired OR coalesce(ends_at <= now / 1000000, false);
    END LOOP;
END $$;

-- The place of the oldest window that counts for the one at a place, that place itself where none does: where anything was used or, if
-- `on_record` says so, where anything was ever held.
CREATE OR REPLACE FUNCTION @ledger.oldest_counted(rule jsonb, taken numeric[], ended boolean[], place integer, on_record boolean)
RETURNS integer
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    last integer := least(place + (rule->>'periods')::integer, cardinality(taken));
BEGIN
    FOR at IN place + 1 .. last LOOP
        IF ended[at] THEN
            last := at - 1;
            EXIT;
        END IF;
    END LOOP;
    WHILE last > place AND last > (rule->>'counting')::integer AND (taken[last] IS NULL OR taken[last] = 0 AND NOT on_record)
    LOOP
        last := last - 1;
    END LOOP;
    RETURN last;
END $$;

-- What the windows before the one at a place carry over into it.
CREATE OR REPLACE FUNCTION @ledger.carried(rule jsonb, policy_limit numeric, taken numeric[], ended boolean[], place integer, on_record boolean)
RETURNS numeric
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    share numeric := rule->>'share';
    most numeric := rule->>'most';
    unused numeric;
    carried numeric := 0;
BEGIN
    FOR at IN REVERSE @ledger.oldest_counted(rule, taken, ended, place, on_record) .. place + 1 LOOP
        unused := policy_limit - coalesce(taken[at], 0);
        IF unused < 0 THEN
            carried := greatest(carried + unused, 0);
        ELSE
            carried := least(carried + unused * share, most);
        END IF;
    END LOOP;
    RETURN floor(carried);
END $$;

-- What earlier windows have used that counts for the line's own, the latest first.
CREATE OR REPLACE FUNCTION @ledger.earlier(rule jsonb, taken numeric[], ended boolean[]) RETURNS numeric[]
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(coalesce(taken[at], 0) ORDER BY at), '{}') FROM generate_series((rule->>'place')::integer + 1,
        @ledger.oldest_counted(rule, taken, ended, (rule->>'place')::integer, false)) AS at
$$;

-- The limit in force of a line with what is carried over, and what earlier windows have used that counts for it, the latest first. Where
-- the hold would take what a later window has spent, the limit is what its own window has taken, so that it has no room.
CREATE OR REPLACE FUNCTION @ledger.limit_with_carried(line jsonb, now bigint, taken numeric[], OUT in_force numeric, OUT earlier numeric[])
LANGUAGE plpgsql AS $$
DECLARE
    rule jsonb := line->5;
    own integer := rule->>'place';
    policy_limit numeric := line->>3;
    ended boolean[];
    topups numeric[];
    override numeric;
    before numeric[] := taken;
    after numeric[] := taken;
    spent numeric;
    carried_after numeric;
BEGIN
    WITH granted AS (
        SELECT g.place, g.value->>0 AS kind, (g.value->>1)::numeric AS amount, (g.value->>2)::bigint AS until, g.value->>3 AS period
        FROM @ledger.grants AS k, jsonb_array_elements(k.grants) WITH ORDINALITY AS g (value, place) WHERE k.scope = line->>1
    ), windows AS (
        SELECT w.place, split_part(w.name, chr(31), 2) AS period, (rule->'ends'->>(w.place::integer - 1))::bigint AS ends_at
        FROM jsonb_array_elements_text(rule->'windows') WITH ORDINALITY AS w (name, place)
    )
    SELECT array_agg(EXISTS (SELECT 1 FROM granted AS g WHERE g.kind = 'override' AND w.ends_at <= g.until
                AND coalesce(nullif(g.period, '')::bigint < w.ends_at, true)) ORDER BY w.place),
        array_agg((SELECT coalesce(sum(g.amount), 0) FROM granted AS g
            WHERE g.kind <> 'override' AND g.period = w.period AND (g.until IS NULL OR now < g.until)) ORDER BY w.place),
        (SELECT g.amount FROM granted AS g WHERE g.kind = 'override' AND now < g.until ORDER BY g.place DESC LIMIT 1)
    INTO ended, topups, override FROM windows AS w;
    earlier := @ledger.earlier(rule, taken, ended);
    IF policy_limit IS NULL OR override IS NOT NULL THEN
        in_force := CASE WHEN policy_limit IS NOT NULL THEN override + topups[own] END;
        RETURN;
    END IF;
    in_force := policy_limit + @ledger.carried(rule, policy_limit, taken, ended, own, false) + topups[own];
    before[own] := coalesce(taken[own], 0);
    after[own] := before[own] + (line->>2)::numeric;
    FOR window_at IN 1 .. own - 1 LOOP
        spent := taken[window_at] - policy_limit - topups[window_at];
        CONTINUE WHEN coalesce(spent, 0) <= 0;
        carried_after := @ledger.carried(rule, policy_limit, after, ended, window_at, true);
        IF spent > carried_after AND carried_after < @ledger.carried(rule, policy_limit, before, ended, window_at, true) THEN
            in_force := least(in_force, before[own]);
        END IF;
    END LOOP;
END $$;

-- Let nobody else hold on any of the windows of a line before this transaction is over: they need not be there yet.
CREATE OR REPLACE FUNCTION @ledger.lock_windows(line jsonb) RETURNS void
LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hashtextextended('@ledger' || chr(31) || (line->>1), 0))
$$;

-- The limit of a line with what is carried over, where that is plain: nothing has expired in its windows, and no later one has used
-- anything. Raises `no_data_found` where it is not. What is granted is not looked at.
CREATE OR REPLACE FUNCTION @ledger.carried_plainly(line jsonb, now bigint, OUT in_force numeric, OUT earlier numeric[])
LANGUAGE plpgsql AS $$
DECLARE
    rule jsonb := line->5;
    own integer := rule->>'place';
    taken numeric[];
    expired boolean;
BEGIN
    PERFORM @ledger.lock_windows(line);
    SELECT w.taken, w.expired INTO taken, expired FROM @ledger.taken(line, now) AS w;
    IF expired OR 0 < ANY (taken[1 : own - 1]) THEN
        RAISE no_data_found;
    END IF;
    earlier := @ledger.earlier(rule, taken, '{}');
    in_force := (line->>3)::numeric + @ledger.carried(rule, (line->>3)::numeric, taken, '{}', own, false);
END $$;
