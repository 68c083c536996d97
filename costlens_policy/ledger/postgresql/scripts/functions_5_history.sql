-- Reading the history.

-- The last entry before which none can appear any more, NULL where there is none. Entries take their numbers when they are written and
-- are seen when they are committed, so whoever reads page by page would pass over one that is committed after a later one. Whoever
-- writes entries at this moment is therefore waited for, as `CREATE INDEX CONCURRENTLY` does; nobody waits for the reader.
CREATE OR REPLACE FUNCTION @ledger.last_entry() RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    last bigint := (SELECT max(id) FROM @ledger.entries);
    writers text[] := @ledger.writers_of_entries();
BEGIN
    WHILE writers && @ledger.writers_of_entries() LOOP
        PERFORM pg_sleep(0.001);
    END LOOP;
    RETURN last;
END $$;

-- The transactions that have written entries and are not over. A transaction is seen before it gives back this lock.
CREATE OR REPLACE FUNCTION @ledger.writers_of_entries() RETURNS text[]
LANGUAGE sql AS $$
    SELECT coalesce(array_agg(virtualtransaction), '{}') FROM pg_catalog.pg_locks
    WHERE locktype = 'relation' AND relation = '@ledger.entries'::regclass AND mode = 'RowExclusiveLock' AND granted
        AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AND pid <> pg_backend_pid()
$$;
