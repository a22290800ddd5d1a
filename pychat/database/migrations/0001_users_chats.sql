CREATE TABLE users (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    username         text NOT NULL CHECK (username = lower(username)),
    display_name     text NOT NULL,
    biography        text NOT NULL DEFAULT '',
    password_hash    text NOT NULL,
    -- Tokens carry the generation they were issued under; a changed password raises it.
    token_generation integer NOT NULL DEFAULT 0,
    -- Raised by every update: tells the newer of two copies of a row.
    revision         integer NOT NULL DEFAULT 0,
    created_at       timestamptz NOT NULL DEFAULT now(),
    deleted_at       timestamptz
);

-- Over deleted users too: a freed name invites impostors.
CREATE UNIQUE INDEX users_username ON users (username);

CREATE TABLE chats (
    id         text PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('private', 'group', 'channel')),
    -- The two of a private chat, equal in a chat with oneself.
    pair_low   bigint REFERENCES users,
    pair_high  bigint REFERENCES users,
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (pair_low <= pair_high),
    CHECK ((kind = 'private') = (pair_low IS NOT NULL) AND (pair_low IS NULL) = (pair_high IS NULL))
);

CREATE UNIQUE INDEX chats_pair ON chats (pair_low, pair_high) WHERE kind = 'private';

CREATE TABLE chat_members (
    chat_id   text NOT NULL REFERENCES chats ON DELETE CASCADE,
    user_id   bigint NOT NULL REFERENCES users,
    -- All but readers may post.
    role      text NOT NULL CHECK (role IN ('reader', 'writer', 'admin', 'owner')),
    joined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (chat_id, user_id)
);

CREATE INDEX chat_members_user ON chat_members (user_id);
