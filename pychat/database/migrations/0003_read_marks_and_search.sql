-- The id of the last message that the member has read.
ALTER TABLE chat_members ADD COLUMN read_up_to bigint NOT NULL DEFAULT 0;

-- For the beginnings of names. In C, whatever the database's own collation: there a beginning is a range of the index.
CREATE INDEX users_username_beginning ON users (username COLLATE "C") WHERE deleted_at IS NULL;
CREATE INDEX users_display_name_beginning ON users (lower(display_name) COLLATE "C", username COLLATE "C")
    WHERE deleted_at IS NULL;
