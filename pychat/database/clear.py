"""Empties a database, whatever is in it."""

CLEAR = """
DO $clear$
BEGIN
    EXECUTE (
        WITH schemas AS (
            SELECT oid, nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        ), extensions AS ( -- keep what is theirs
            SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
        ), drops (step, statement) AS (
            SELECT 1, format('DROP SCHEMA %I CASCADE', nspname) FROM schemas
            WHERE nspname <> 'public' AND ('pg_namespace'::regclass, oid) NOT IN (TABLE extensions)
            UNION ALL
            SELECT CASE relkind WHEN 'S' THEN 3 ELSE 2 END, format( -- a table takes its own sequences along
                'DROP %s IF EXISTS %s CASCADE',
                CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
                             WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END,
                oid::regclass
            ) FROM pg_class
            WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
                AND ('pg_class'::regclass, oid) NOT IN (TABLE extensions)
            UNION ALL
            SELECT 4, format('DROP ROUTINE IF EXISTS %s CASCADE', oid::regprocedure) FROM pg_proc
            WHERE pronamespace = 'public'::regnamespace AND ('pg_proc'::regclass, oid) NOT IN (TABLE extensions)
            UNION ALL
            SELECT 5, format('DROP TYPE IF EXISTS %s CASCADE', oid::regtype) FROM pg_type
            WHERE typnamespace = 'public'::regnamespace AND ('pg_type'::regclass, oid) NOT IN (TABLE extensions)
                AND (typtype IN ('e', 'd', 'r')
                    OR typtype = 'c' AND (SELECT relkind FROM pg_class WHERE pg_class.oid = typrelid) = 'c')
        )
        SELECT coalesce(string_agg(statement, '; ' ORDER BY step), 'SELECT') FROM drops
    );
END
$clear$;
"""

# Every table but those that every start fills.
TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND c.relname NOT IN ('schema_migrations', 'served_by')
"""
