-- The process that serves the database, or did last: one that lost it to another must not go on by what it remembers.
CREATE TABLE served_by (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    process  uuid NOT NULL
);
