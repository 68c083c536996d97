-- Giving back, and lengthening.

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
            IF line->10 IS NOT NULL THEN
                a := @ledger.put_back(a, line->10, (line->>2)::numeric, 0, now);
            END IF;
        END IF;
        PERFORM @ledger.save(a);
    END LOOP;
    UPDATE @ledger.calls SET released = true WHERE number = c.number;
    RETURN 'released';
END $$;

-- Give back, and remember the call also where it is unknown: a request to hold it may still be on its way. Shares that it ends have
-- ended; whoever begins one waits until this is done.
CREATE OR REPLACE FUNCTION @ledger.void(call text, now bigint) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(call, 0));
    INSERT INTO @ledger.calls (id, reserved_at, ends_at, lines, facts, released)
    VALUES (call, now, now / 1000000, '[]', '{}', true) ON CONFLICT (id) DO NOTHING;
    PERFORM @ledger.end_shares(call, now);
    RETURN @ledger.release(call, now);
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
    END IF;
    FOR line IN SELECT value FROM jsonb_array_elements(c.lines) WHERE value->10 IS NOT NULL LOOP
        SELECT * INTO a FROM @ledger.accounts WHERE name = line->0->>0;
        PERFORM @ledger.save(@ledger.renew_shares(a, line->10, now));
    END LOOP;
    IF until_second <= c.ends_at THEN
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
