-- Settling.

-- Record the charges of a call as entries, in the order of their places, and that it is settled. The lines are those of `settle`.
CREATE OR REPLACE FUNCTION @ledger.close(of_call bigint, now bigint, was_late boolean, settled_lines jsonb, charged_facts text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    line jsonb;
    entry bigint;
    first bigint;
BEGIN
    FOR line IN SELECT value FROM jsonb_array_elements(settled_lines) WHERE value->5 = 'true' ORDER BY (value->>6)::bigint LOOP
        INSERT INTO @ledger.entries (at, kind, source, account, amount, was_held)
        VALUES (now, 'charge', of_call, (line->>7)::bigint, (line->>1)::numeric, (line->>2)::numeric) RETURNING id INTO entry;
        first := coalesce(first, entry);
    END LOOP;
    UPDATE @ledger.calls SET settled_at = now, late = was_late, charged = settled_lines, more_facts = charged_facts,
        first_entry = first, last_entry = entry WHERE number = of_call;
END $$;

-- Settle every line where that is plain: each charge is on what was held, all of it is still held, nothing has expired or left a
-- window. Raises `no_data_found` where it is not; whatever was done up to then is undone.
CREATE OR REPLACE FUNCTION @ledger.settle_plainly(c @ledger.calls, now bigint, charges jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
    line jsonb;
    charge jsonb;
    was_held numeric;
    amount numeric;
    now_second bigint := now / 1000000;
    of_account bigint;
    of_width bigint;
    of_bucket bigint;
    used_after numeric;
    held_after numeric;
    lines jsonb[] := '{}';
    left_over integer := jsonb_array_length(charges);
    whole @ledger.accounts;
BEGIN
    FOR line, charge IN
        SELECT h.value, (SELECT x.value FROM jsonb_array_elements(charges) AS x WHERE x.value->>1 = h.value->>1)
        FROM jsonb_array_elements(c.lines) AS h
    LOOP
        was_held := line->>2;
        amount := charge->>2;
        UPDATE @ledger.accounts AS a SET used = a.used + coalesce(amount, 0), held = a.held - was_held
        WHERE a.name = line->0->>0 AND (a.next_end IS NULL OR a.next_end > now_second)
            AND (a.width = 0 OR (a.width > 0 AND a.bucket = now / a.width)
                OR (a.width < 0 AND a.bucket <= now AND greatest(now, c.reserved_at) < a.bucket - a.width))
        RETURNING a.id, a.width, a.bucket, a.used, a.held INTO STRICT of_account, of_width, of_bucket, used_after, held_after;
        UPDATE @ledger.ends AS e SET held = e.held - was_held
        WHERE e.account = of_account AND e.second = c.ends_at AND e.generation = (line->>6)::bigint;
        IF NOT FOUND THEN
            RAISE no_data_found;
        END IF;
        IF line->10 IS NOT NULL THEN
            SELECT * INTO whole FROM @ledger.accounts WHERE id = of_account;
            held_after := held_after + @ledger.put_back_plainly(whole, line->10, was_held, coalesce(amount, 0), now);
        END IF;
        IF amount IS NOT NULL THEN
            left_over := left_over - 1;
            IF of_width > 0 THEN
                INSERT INTO @ledger.buckets AS b (account, bucket, used)
                VALUES (of_account, greatest(now, c.reserved_at) / of_width, amount)
                ON CONFLICT ON CONSTRAINT buckets_pkey DO UPDATE SET used = b.used + excluded.used;
            ELSIF of_width < 0 THEN
                UPDATE @ledger.buckets AS b SET used = b.used + amount WHERE b.account = of_account AND b.bucket = of_bucket;
            END IF;
        END IF;
        lines := lines || jsonb_build_array(line->0, coalesce(amount, 0), was_held, used_after, held_after, amount IS NOT NULL,
            line->7, of_account);
    END LOOP;
    IF left_over <> 0 THEN
        RAISE no_data_found;
    END IF;
    RETURN to_jsonb(lines);
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
    IF c.ends_at IS NOT NULL AND NOT was_late THEN
        BEGIN
            result := @ledger.settle_plainly(c, now, charges);
            PERFORM @ledger.close(c.number, now, false, result, charged_facts);
            RETURN jsonb_build_array('settled', false, now, result);
        EXCEPTION WHEN no_data_found THEN
            result := '[]';  -- not plain: step by step
        END;
    END IF;
    counted_at := greatest(now, c.reserved_at);
    FOR line IN
        SELECT coalesce(h.value->0, x.value->0) AS account, (h.value->>2)::numeric AS was_held, (h.value->>6)::bigint AS generation,
            h.value->10 AS drawn, (x.value->>2)::numeric AS amount, coalesce((h.value->>7)::bigint, 1000 + x.ordinality) AS place
        FROM jsonb_array_elements(c.lines) AS h
            FULL JOIN jsonb_array_elements(charges) WITH ORDINALITY AS x ON h.value->>1 = x.value->>1
        ORDER BY coalesce(h.value->0->>0, x.value->0->>0) COLLATE "C"
    LOOP
        SELECT * INTO t FROM @ledger.touch(line.account, now);
        a := t.a;
        IF line.was_held IS NOT NULL AND NOT c.released THEN
            IF @ledger.unhold(a.id, c.ends_at, line.generation, line.was_held) THEN
                a.held := a.held - line.was_held;
                IF line.drawn IS NOT NULL THEN
                    a := @ledger.put_back(a, line.drawn, line.was_held, coalesce(line.amount, 0), now);
                END IF;
            ELSE
                was_late := true;
            END IF;
        END IF;
        IF a.width < 0 THEN
            a := @ledger.charge_window(a, counted_at, coalesce(line.amount, 0));
        ELSE
            a.used := a.used + coalesce(line.amount, 0);
        END IF;
        IF a.width > 0 AND line.amount IS NOT NULL THEN
            INSERT INTO @ledger.buckets AS b (account, bucket, used) VALUES (a.id, counted_at / a.width, line.amount)
            ON CONFLICT (account, bucket) DO UPDATE SET used = b.used + excluded.used;
        END IF;
        PERFORM @ledger.save(a);
        result := result || jsonb_build_array(jsonb_build_array(line.account, coalesce(line.amount, 0), coalesce(line.was_held, 0),
            a.used, a.held, line.amount IS NOT NULL, line.place, a.id));
    END LOOP;
    PERFORM @ledger.close(c.number, now, was_late, result, charged_facts);
    RETURN jsonb_build_array('settled', was_late, now, result);
END $$;
