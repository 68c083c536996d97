-- Reserving.

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
    SELECT jsonb_agg(jsonb_build_array(account, line->1, amount, in_force, used, held, NULL, line->4)),
        coalesce(bool_and(used + held + amount <= in_force), true)
    FROM (SELECT line.value AS line,
            CASE WHEN (line.value->0->>8)::bigint < 0
                THEN jsonb_set(line.value->0, '{5}', coalesce(to_jsonb(@ledger.window_of(line.value->0->>0, now)), 'null'))
                ELSE line.value->0 END AS account,
            (line.value->>2)::numeric AS amount,
            CASE WHEN line.value->>3 IS NOT NULL THEN @ledger.limit_in_force(
                line.value->>1, line.value->0->>4, now, (line.value->>3)::numeric) END AS in_force,
            coalesce(balance.used, 0) AS used, coalesce(balance.held, 0) AS held
        FROM jsonb_array_elements(asked) AS line LEFT JOIN @ledger.balance(line.value->0->>0, now) AS balance ON true) AS seen
$$;

-- Reserve where that is plain: the call is new, its accounts are there, nothing has expired or left a window, nothing is granted, and
-- there is room. Raises `no_data_found` where it is not; whatever was done or locked up to then is undone. Returns the lines.
CREATE OR REPLACE FUNCTION @ledger.reserve_plainly(call text, now bigint, until_second bigint, call_facts text, asked jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    line jsonb;
    amount numeric;
    now_second bigint := now / 1000000;
    account bigint;
    of_generation bigint;
    used_before numeric;
    held_after numeric;
    of_account @ledger.accounts;
    scopes text[] := '{}';
    held_lines jsonb[] := '{}';
    line_limit numeric;
    carried record;
BEGIN
    FOR line IN SELECT value FROM jsonb_array_elements(asked) LOOP
        amount := line->>2;
        line_limit := line->>3;
        IF line->5 IS NOT NULL THEN
            SELECT * INTO carried FROM @ledger.carried_plainly(line, now);
            line_limit := carried.in_force;
        END IF;
        UPDATE @ledger.accounts AS a SET held = a.held + amount, next_end = least(a.next_end, until_second)
        WHERE a.name = line->0->>0 AND (a.next_end IS NULL OR a.next_end > now_second)
            AND (a.width = 0 OR (a.width > 0 AND a.bucket = now / a.width)
                OR (a.width < 0 AND a.bucket <= now AND now < a.bucket - a.width))
            AND (line_limit IS NULL OR a.used + a.held + amount <= line_limit)
        RETURNING a.* INTO STRICT of_account;
        account := of_account.id;
        of_generation := of_account.generation;
        used_before := of_account.used;
        held_after := of_account.held;
        INSERT INTO @ledger.ends AS e (account, second, generation, held) VALUES (account, until_second, of_generation, amount)
        ON CONFLICT ON CONSTRAINT ends_pkey DO UPDATE SET held = e.held + excluded.held
        RETURNING e.generation INTO of_generation;
        scopes := scopes || (line->>1);
        held_lines := held_lines || jsonb_build_array(@ledger.shown(line->0, of_account), line->1, line->2, line_limit, used_before,
            held_after - amount, of_generation, line->4);
        IF line->5 IS NOT NULL THEN
            held_lines[cardinality(held_lines)] := held_lines[cardinality(held_lines)] || jsonb_build_array(carried.earlier);
        END IF;
    END LOOP;
    IF EXISTS (SELECT 1 FROM @ledger.grants WHERE scope = ANY (scopes)) THEN
        RAISE no_data_found;
    END IF;
    INSERT INTO @ledger.calls (id, reserved_at, ends_at, lines, facts)
    VALUES (call, now, until_second, to_jsonb(held_lines), call_facts) ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        RAISE no_data_found;
    END IF;
    RETURN to_jsonb(held_lines);
END $$;

-- Hold every line, or none, step by step. `shares` are those of the call, or NULL: arrays of the line that is a share and the line of
-- which it is one (numbers from 1), its lease in microseconds, and the calls that end it.
CREATE OR REPLACE FUNCTION @ledger.reserve_stepwise(
    call text, now bigint, until_second bigint, call_facts text, asked jsonb, shares jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    line jsonb;
    t record;
    a @ledger.accounts;
    touched @ledger.accounts[] := '{}';
    changed boolean[] := '{}';
    created bigint[] := '{}';
    in_force numeric;
    room boolean := true;
    lines jsonb := '[]';
    draws jsonb;
    place integer := 0;
    taken numeric[];
    earlier jsonb;
BEGIN
    FOR line IN SELECT value FROM jsonb_array_elements(asked) LOOP
        IF line->5 IS NOT NULL THEN
            PERFORM @ledger.lock_windows(line);
            PERFORM @ledger.free_windows(line, now, (line->5->>'place')::integer + 1, 1000);
        END IF;
        SELECT * INTO t FROM @ledger.touch(line->0, now);
        a := t.a;
        touched := touched || a;
        changed := changed || t.changed;
        IF t.created THEN
            created := created || a.id;
        END IF;
        in_force := NULL;
        earlier := '[]';
        IF line->5 IS NOT NULL THEN
            PERFORM @ledger.free_windows(line, now, 1, (line->5->>'place')::integer - 1);
            taken := (@ledger.taken(line, now)).taken;
            taken[(line->5->>'place')::integer] := a.used + a.held;
            -- What shares set aside beside a call is not known yet, so with them nothing may be taken from a later window.
            SELECT c.in_force, jsonb_build_array(c.earlier) INTO in_force, earlier FROM @ledger.limit_with_carried(
                CASE WHEN shares IS NULL THEN line ELSE jsonb_set(line, '{2}', to_jsonb(1e30)) END, now, taken) AS c;
        ELSIF line->>3 IS NOT NULL THEN
            in_force := @ledger.limit_in_force(line->>1, line->0->>4, now, (line->>3)::numeric);
        END IF;
        room := room AND coalesce(a.used + a.held + (line->>2)::numeric <= in_force, true);
        lines := lines || jsonb_build_array(jsonb_build_array(
            @ledger.shown(line->0, a), line->1, line->2, in_force, a.used, a.held, NULL, line->4) || earlier);
    END LOOP;
    IF shares IS NOT NULL THEN
        SELECT * INTO lines, draws, room FROM @ledger.draw_on(lines, shares, touched, now);
        IF room THEN
            touched := @ledger.draw(draws, touched, now);
        END IF;
    END IF;
    FOREACH a IN ARRAY touched LOOP
        IF room THEN
            line := lines->place;
            IF a.width < 0 AND a.bucket IS NULL THEN
                a := @ledger.begin_window(a, now);
                lines := jsonb_set(lines, ARRAY[place::text, '0'], @ledger.shown(line->0, a));
            END IF;
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

-- Hold every line, or none. A line is an array: account, scope, amount, limit, place; they are in the order of the names.
-- Returns what happened ('held', 'refused', 'known') and the lines: account, scope, amount, limit, used, held, generation, place; of one that
-- carries over what earlier windows have used that counts for it, and where shares are drawn on what `draw_on` adds.
-- A call that has no room is refused without a lock, so that a budget that is spent costs others nothing.
CREATE OR REPLACE FUNCTION @ledger.reserve(call text, now bigint, until_second bigint, call_facts text, asked jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    known @ledger.calls;
    t record;
BEGIN
    BEGIN
        RETURN jsonb_build_array('held', @ledger.reserve_plainly(call, now, until_second, call_facts, asked));
    EXCEPTION WHEN no_data_found THEN
        NULL;  -- not plain: step by step
    END;
    SELECT * INTO known FROM @ledger.calls WHERE id = call;
    IF FOUND THEN
        RETURN jsonb_build_array('known', known.lines, known.ends_at, known.released, known.settled_at);
    END IF;
    IF NOT jsonb_path_exists(asked, '$[*][5]') AND @ledger.looks_full(asked, now) THEN
        SELECT * INTO t FROM @ledger.look(asked, now);
        IF NOT t.room THEN
            RETURN jsonb_build_array('refused', t.lines);
        END IF;
    END IF;
    RETURN @ledger.reserve_stepwise(call, now, until_second, call_facts, asked, NULL);
END $$;

-- Reserve as `reserve` does, unless one of some calls (an array of their ids) is on record: then 'barred', and the first of them.
CREATE OR REPLACE FUNCTION @ledger.reserve_unless(call text, now bigint, until_second bigint, call_facts text, asked jsonb, barring jsonb)
RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    barred text;
BEGIN
    SELECT c.id INTO barred FROM jsonb_array_elements_text(barring) WITH ORDINALITY AS b (id, place)
        JOIN @ledger.calls AS c ON c.id = b.id COLLATE "C"
        WHERE NOT EXISTS (SELECT 1 FROM @ledger.calls AS k WHERE k.id = call) ORDER BY b.place LIMIT 1;
    IF FOUND THEN
        RETURN jsonb_build_array('barred', NULL, barred);
    END IF;
    RETURN @ledger.reserve(call, now, until_second, call_facts, asked);
END $$;

-- Reserve as `reserve_plainly` does, with shares (as for `reserve_stepwise`) that all live and have as much left as the call holds.
CREATE OR REPLACE FUNCTION @ledger.reserve_plainly_sharing(
    call text, now bigint, until_second bigint, call_facts text, asked jsonb, shares jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    line jsonb;
    amount numeric;
    now_second bigint := now / 1000000;
    place integer := 0;
    a @ledger.accounts;
    s @ledger.shares;
    owner bigint;
    drawing integer;
    own numeric;
    drawn jsonb;
    held_before numeric;
    of_generation bigint;
    ids bigint[];
    scopes text[] := '{}';
    held_lines jsonb[] := '{}';
BEGIN
    ids := ARRAY(SELECT k.id FROM jsonb_array_elements(asked) WITH ORDINALITY AS l (value, place)
        LEFT JOIN @ledger.accounts AS k ON k.name = l.value->0->>0 ORDER BY l.place);
    FOR line IN SELECT value FROM jsonb_array_elements(asked) LOOP
        place := place + 1;
        amount := line->>2;
        drawing := (SELECT count(*) FROM jsonb_array_elements(shares) AS x WHERE (x.value->>1)::integer = place);
        UPDATE @ledger.accounts AS k SET held = k.held + amount - drawing * amount, next_end = least(k.next_end, until_second)
        WHERE k.id = ids[place] AND (k.next_end IS NULL OR k.next_end > now_second) AND line->5 IS NULL
            AND (k.width = 0 OR (k.width > 0 AND k.bucket = now / k.width)
                OR (k.width < 0 AND k.bucket <= now AND now < k.bucket - k.width))
            AND (line->>3 IS NULL OR drawing > 0 OR k.used + k.held + amount <= (line->>3)::numeric)
        RETURNING k.* INTO STRICT a;
        held_before := a.held - amount + drawing * amount;
        own := 0;
        drawn := '[]';
        IF drawing > 0 THEN
            FOR owner IN SELECT ids[(x.value->>0)::integer] FROM jsonb_array_elements(shares) AS x WHERE (x.value->>1)::integer = place LOOP
                s := @ledger.find_share(owner, a, now);
                IF s.account IS NULL OR s.rest < amount THEN
                    RAISE no_data_found;
                END IF;
                own := own + s.rest;
                drawn := drawn || jsonb_build_array(jsonb_build_array(owner, amount));
                PERFORM @ledger.move_share(a, s, s.rest - amount, now);
            END LOOP;
            IF a.used + held_before - own + amount > (line->>3)::numeric THEN
                RAISE no_data_found;
            END IF;
        END IF;
        INSERT INTO @ledger.ends AS e (account, second, generation, held) VALUES (a.id, until_second, a.generation, amount)
        ON CONFLICT ON CONSTRAINT ends_pkey DO UPDATE SET held = e.held + excluded.held
        RETURNING e.generation INTO of_generation;
        scopes := scopes || (line->>1);
        line := jsonb_build_array(@ledger.shown(line->0, a), line->1, line->2, (line->>3)::numeric, a.used, held_before, of_generation,
            line->4);
        IF drawing > 0 THEN
            line := line || jsonb_build_array('[]'::jsonb, jsonb_build_array(own, drawing * amount, 0), drawn);
        END IF;
        held_lines := held_lines || line;
    END LOOP;
    IF EXISTS (SELECT 1 FROM @ledger.grants WHERE scope = ANY (scopes)) THEN
        RAISE no_data_found;
    END IF;
    INSERT INTO @ledger.calls (id, reserved_at, ends_at, lines, facts)
    VALUES (call, now, until_second, to_jsonb(held_lines), call_facts) ON CONFLICT (id) DO NOTHING;
    IF NOT FOUND THEN
        RAISE no_data_found;
    END IF;
    RETURN to_jsonb(held_lines);
END $$;

-- The first of some calls (an array of their ids) that is on record, unless the call itself is.
CREATE OR REPLACE FUNCTION @ledger.barred_by(call text, barring jsonb) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT c.id FROM jsonb_array_elements_text(barring) WITH ORDINALITY AS b (id, place)
        JOIN @ledger.calls AS c ON c.id = b.id COLLATE "C"
    WHERE NOT EXISTS (SELECT 1 FROM @ledger.calls AS k WHERE k.id = call) ORDER BY b.place LIMIT 1
$$;

-- Reserve as `reserve_unless` does a call that belongs to shares. Where one has to begin, whoever ends it waits until this is done, and is
-- then seen.
CREATE OR REPLACE FUNCTION @ledger.reserve_sharing(
    call text, now bigint, until_second bigint, call_facts text, asked jsonb, barring jsonb, shares jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    known @ledger.calls;
    barred text := @ledger.barred_by(call, barring);
    moved bigint[];
BEGIN
    IF barred IS NOT NULL THEN
        RETURN jsonb_build_array('barred', NULL, barred);
    END IF;
    BEGIN
        RETURN jsonb_build_array('held', @ledger.reserve_plainly_sharing(call, now, until_second, call_facts, asked, shares));
    EXCEPTION WHEN no_data_found THEN
        NULL;  -- not plain: step by step
    END;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended(e.id, 0))
    FROM (SELECT DISTINCT x.value AS id FROM jsonb_array_elements(shares) AS s, jsonb_array_elements_text(s.value->3) AS x ORDER BY 1) AS e;
    SELECT * INTO known FROM @ledger.calls WHERE id = call;
    IF FOUND THEN
        RETURN jsonb_build_array('known', known.lines, known.ends_at, known.released, known.settled_at);
    END IF;
    barred := @ledger.barred_by(call, barring);
    IF barred IS NOT NULL THEN
        RETURN jsonb_build_array('barred', NULL, barred);
    END IF;
    -- A share that moves from another account gives back what is left there, so that is locked in the order of the names, too.
    moved := ARRAY(
        SELECT p.parent FROM jsonb_array_elements(shares) AS s
            JOIN @ledger.accounts AS o ON o.name = asked->((s.value->>0)::integer - 1)->0->>0
            JOIN @ledger.shares AS p ON p.account = o.id JOIN @ledger.accounts AS a ON a.id = p.parent
        WHERE a.name <> asked->((s.value->>1)::integer - 1)->0->>0);
    IF cardinality(moved) > 0 THEN
        PERFORM 1 FROM @ledger.accounts
        WHERE id = ANY (moved) OR name IN (SELECT l.value->0->>0 FROM jsonb_array_elements(asked) AS l) ORDER BY name FOR UPDATE;
    END IF;
    RETURN @ledger.reserve_stepwise(call, now, until_second, call_facts, asked, shares);
END $$;
