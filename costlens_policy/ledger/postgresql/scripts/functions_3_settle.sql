-- Settling.

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
