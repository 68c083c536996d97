-- What is set aside on accounts for the shares of others; see `shares.py`. A share changes only while the account that holds it is locked.

-- The end of a lease, in seconds; see `account.py`.
CREATE OR REPLACE FUNCTION @ledger.lease_end(now bigint, lease bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE AS $$
    SELECT (now + lease + grid * 1000000 - 1) / (grid * 1000000) * grid
    FROM (SELECT greatest(1, (lease + 119999999) / 120000000) AS grid) AS measures
$$;

-- The share of one account in another one, which is right for `now`; NULL where none lives.
CREATE OR REPLACE FUNCTION @ledger.find_share(of_owner bigint, a @ledger.accounts, now bigint) RETURNS @ledger.shares
LANGUAGE sql STABLE AS $$
    SELECT s FROM @ledger.shares AS s JOIN @ledger.ends AS e
        ON e.account = s.parent AND e.second = s.second AND e.generation = s.generation
    WHERE s.account = of_owner AND s.parent = a.id AND s.second > now / 1000000
$$;

-- What an account has set aside for shares.
CREATE OR REPLACE FUNCTION @ledger.set_aside(of_account bigint, now bigint) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(s.rest), 0) FROM @ledger.shares AS s JOIN @ledger.ends AS e
        ON e.account = s.parent AND e.second = s.second AND e.generation = s.generation
    WHERE s.parent = of_account AND s.second > now / 1000000
$$;

-- What is left of the share of an account; NULL where it has none.
CREATE OR REPLACE FUNCTION @ledger.share_left(of_account bigint, now bigint) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT s.rest FROM @ledger.shares AS s JOIN @ledger.ends AS e
        ON e.account = s.parent AND e.second = s.second AND e.generation = s.generation
    WHERE s.account = of_account AND s.second > now / 1000000
$$;

-- Let so much be left of a share that lives, and its lease begin anew, in the sums of its account, which is right for `now`. Returns when
-- it ends.
CREATE OR REPLACE FUNCTION @ledger.move_share(a @ledger.accounts, s @ledger.shares, rest_after numeric, now bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    grid bigint := greatest(1, (s.lease + 119999999) / 120000000);
    until_second bigint := greatest(s.second, (now + s.lease + grid * 1000000 - 1) / (grid * 1000000) * grid);
    of_generation bigint := s.generation;
BEGIN
    IF until_second = s.second THEN
        UPDATE @ledger.ends SET held = held - s.rest + rest_after WHERE account = a.id AND second = s.second;
    ELSE
        UPDATE @ledger.ends SET held = held - s.rest WHERE account = a.id AND second = s.second;
        INSERT INTO @ledger.ends AS e (account, second, generation, held) VALUES (a.id, until_second, a.generation, rest_after)
        ON CONFLICT ON CONSTRAINT ends_pkey DO UPDATE SET held = e.held + excluded.held
        RETURNING e.generation INTO of_generation;
    END IF;
    UPDATE @ledger.shares SET second = until_second, generation = of_generation, rest = rest_after WHERE account = s.account;
    RETURN until_second;
END $$;

-- The same for an account that is saved later.
CREATE OR REPLACE FUNCTION @ledger.put_share(INOUT a @ledger.accounts, s @ledger.shares, rest_after numeric, now bigint)
LANGUAGE plpgsql AS $$
BEGIN
    a.next_end := least(a.next_end, @ledger.move_share(a, s, rest_after, now));
    a.held := a.held - s.rest + rest_after;
END $$;

-- The lines of `reserve` as shares leave them, what is taken of each share, and whether all lines have room. A line gets what was set
-- aside for shares of the call, what is drawn and what is set aside in addition; then what is drawn, by the id of the account that has
-- the share. A draw is an array: the share as it was asked for, what is left of it, whether it begins.
CREATE OR REPLACE FUNCTION @ledger.draw_on(
    INOUT lines jsonb, shares jsonb, touched @ledger.accounts[], now bigint, OUT draws jsonb, OUT room boolean)
LANGUAGE plpgsql AS $$
DECLARE
    share jsonb;
    line jsonb;
    owner_line jsonb;
    s @ledger.shares;
    o @ledger.accounts;
    of_line integer;
    rest numeric;
    taken numeric;
    begins boolean;
    sums numeric[];
BEGIN
    draws := '[]';
    FOR share IN SELECT value FROM jsonb_array_elements(shares) LOOP
        o := touched[(share->>0)::integer];
        of_line := (share->>1)::integer;
        owner_line := lines->((share->>0)::integer - 1);
        line := lines->(of_line - 1);
        CONTINUE WHEN owner_line->>3 IS NULL;
        s := @ledger.find_share(o.id, touched[of_line], now);
        begins := s.account IS NULL;
        IF begins THEN
            rest := greatest(0, (owner_line->>3)::numeric - o.used - o.held + @ledger.set_aside(o.id, now));
        ELSE
            rest := s.rest;
        END IF;
        taken := least(rest, (line->>2)::numeric);
        sums := ARRAY[coalesce((line->9->>0)::numeric, 0), coalesce((line->9->>1)::numeric, 0), coalesce((line->9->>2)::numeric, 0)];
        IF begins THEN
            sums[3] := sums[3] + rest - taken;
        ELSE
            sums[1] := sums[1] + rest;
            sums[2] := sums[2] + taken;
        END IF;
        line := jsonb_build_array(line->0, line->1, line->2, line->3, line->4, line->5, line->6, line->7, coalesce(line->8, '[]'),
            to_jsonb(sums), coalesce(line->10, '[]') || jsonb_build_array(jsonb_build_array(o.id, taken)));
        lines := jsonb_set(lines, ARRAY[(of_line - 1)::text], line);
        draws := draws || jsonb_build_array(jsonb_build_array(share, rest - taken, begins));
    END LOOP;
    room := (SELECT bool_and(l.value->>3 IS NULL OR (l.value->>4)::numeric + (l.value->>5)::numeric + (l.value->>2)::numeric
        - coalesce((l.value->9->>0)::numeric, 0) + coalesce((l.value->9->>2)::numeric, 0) <= (l.value->>3)::numeric)
        FROM jsonb_array_elements(lines) AS l);
END $$;

-- Give back what is left of a share, on an account that may be one of those touched, which are saved later as a whole.
CREATE OR REPLACE FUNCTION @ledger.give_back(s @ledger.shares, touched @ledger.accounts[], now bigint) RETURNS @ledger.accounts[]
LANGUAGE plpgsql AS $$
DECLARE
    a @ledger.accounts;
BEGIN
    FOR place IN 1..cardinality(touched) LOOP
        a := touched[place];
        IF a.id = s.parent THEN
            IF @ledger.unhold(a.id, s.second, s.generation, s.rest) THEN
                a.held := a.held - s.rest;
                touched[place] := a;
            END IF;
            RETURN touched;
        END IF;
    END LOOP;
    SELECT (t.a).* INTO a FROM @ledger.accounts AS p, @ledger.touch(jsonb_build_array(p.name), now) AS t WHERE p.id = s.parent;
    IF @ledger.unhold(a.id, s.second, s.generation, s.rest) THEN
        a.held := a.held - s.rest;
    END IF;
    PERFORM @ledger.save(a);
    RETURN touched;
END $$;

-- Take what a call draws off its shares, of which some begin with it. Returns the accounts; they are not saved yet.
CREATE OR REPLACE FUNCTION @ledger.draw(draws jsonb, touched @ledger.accounts[], now bigint) RETURNS @ledger.accounts[]
LANGUAGE plpgsql AS $$
DECLARE
    draw jsonb;
    a @ledger.accounts;
    s @ledger.shares;
    owner bigint;
    rest_after numeric;
    until_second bigint;
BEGIN
    FOR draw IN SELECT value FROM jsonb_array_elements(draws) LOOP
        a := touched[(draw->0->>1)::integer];
        owner := (touched[(draw->0->>0)::integer]).id;
        rest_after := (draw->>1)::numeric;
        IF (draw->>2)::boolean THEN
            SELECT * INTO s FROM @ledger.shares WHERE account = owner AND parent <> a.id;
            IF FOUND THEN  -- of another period, as a rule
                touched := @ledger.give_back(s, touched, now);
            END IF;
            until_second := @ledger.lease_end(now, (draw->0->>2)::bigint);
            INSERT INTO @ledger.shares AS s (account, parent, second, generation, rest, lease, ends)
            VALUES (owner, a.id, until_second, @ledger.hold(a.id, until_second, a.generation, rest_after), rest_after,
                (draw->0->>2)::bigint, draw->0->3)
            ON CONFLICT (account) DO UPDATE SET parent = excluded.parent, second = excluded.second, generation = excluded.generation,
                rest = excluded.rest, lease = excluded.lease, ends = excluded.ends;
            INSERT INTO @ledger.share_ends (call, account)
            SELECT e.value, owner FROM jsonb_array_elements_text(draw->0->3) AS e ON CONFLICT DO NOTHING;
            a.held := a.held + rest_after;
            a.next_end := least(a.next_end, until_second);
        ELSE
            a := @ledger.put_share(a, @ledger.find_share(owner, a, now), rest_after, now);
        END IF;
        touched[(draw->0->>1)::integer] := a;
    END LOOP;
    RETURN touched;
END $$;

-- Put what was drawn for a line (`drawn`: by the id of the account that has the share) and not used back into the shares that live.
CREATE OR REPLACE FUNCTION @ledger.put_back(INOUT a @ledger.accounts, drawn jsonb, was_held numeric, charged numeric, now bigint)
LANGUAGE plpgsql AS $$
DECLARE
    taken jsonb;
    s @ledger.shares;
BEGIN
    FOR taken IN SELECT value FROM jsonb_array_elements(drawn) LOOP
        s := @ledger.find_share((taken->>0)::bigint, a, now);
        IF s.account IS NOT NULL THEN
            a := @ledger.put_share(a, s,
                greatest(0, s.rest + greatest(0, (taken->>1)::numeric - charged) - greatest(0, charged - was_held)), now);
        END IF;
    END LOOP;
END $$;

-- Put back what was drawn for a line and not used, for an account that is saved already. Returns what that adds to what it holds.
CREATE OR REPLACE FUNCTION @ledger.put_back_plainly(a @ledger.accounts, drawn jsonb, was_held numeric, charged numeric, now bigint)
RETURNS numeric
LANGUAGE plpgsql AS $$
DECLARE
    before numeric := a.held;
BEGIN
    a := @ledger.put_back(a, drawn, was_held, charged, now);
    IF a.held <> before THEN
        UPDATE @ledger.accounts SET held = a.held, next_end = a.next_end WHERE id = a.id;
    END IF;
    RETURN a.held - before;
END $$;

-- Let the leases of shares that a line was drawn from begin anew.
CREATE OR REPLACE FUNCTION @ledger.renew_shares(INOUT a @ledger.accounts, drawn jsonb, now bigint)
LANGUAGE plpgsql AS $$
DECLARE
    taken jsonb;
    s @ledger.shares;
BEGIN
    FOR taken IN SELECT value FROM jsonb_array_elements(drawn) LOOP
        s := @ledger.find_share((taken->>0)::bigint, a, now);
        IF s.account IS NOT NULL THEN
            a := @ledger.put_share(a, s, s.rest, now);
        END IF;
    END LOOP;
END $$;

-- Give back what is left of the shares that a call ends.
CREATE OR REPLACE FUNCTION @ledger.end_shares(of_call text, now bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    ended record;
    a @ledger.accounts;
    s @ledger.shares;
BEGIN
    FOR ended IN
        SELECT e.account, p.name FROM @ledger.share_ends AS e JOIN @ledger.shares AS h ON h.account = e.account
            JOIN @ledger.accounts AS p ON p.id = h.parent
        WHERE e.call = of_call ORDER BY p.name COLLATE "C"
    LOOP
        SELECT (t.a).* INTO a FROM @ledger.touch(jsonb_build_array(ended.name), now) AS t;
        SELECT * INTO s FROM @ledger.shares WHERE account = ended.account AND parent = a.id AND ends ? of_call;
        IF FOUND THEN
            IF @ledger.unhold(a.id, s.second, s.generation, s.rest) THEN
                a.held := a.held - s.rest;
            END IF;
            DELETE FROM @ledger.shares WHERE account = s.account;
        END IF;
        PERFORM @ledger.save(a);
    END LOOP;
    DELETE FROM @ledger.share_ends WHERE call = of_call;
END $$;
