-- The short key that messages carry; the public one is `id`.
ALTER TABLE chats ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE;

-- One partition a week, made ahead (`pychat/journal/partitions.py`); old messages go with their partition.
-- Nothing refers to other tables: a check a row would cost more than the row, and only the journal writes here.
CREATE TABLE messages (
    -- Microseconds since the Unix epoch when it was committed, about, and above those of all earlier ones.
    id     bigint NOT NULL,
    chat   bigint NOT NULL, -- chats.number
    sender bigint NOT NULL, -- users.id
    text   text NOT NULL,
    PRIMARY KEY (chat, id)
) PARTITION BY RANGE (id);

-- By id alone: the highest, from which the ids go on after a restart, and single messages.
CREATE INDEX messages_id ON messages (id);

-- Which of a sender's client ids were used, and for which message, so that a repeated request is not a second message.
-- Apart from the messages: there the key would have to hold the partitions' column, and so promise nothing.
CREATE TABLE message_claims (
    sender     bigint NOT NULL,
    client_id  text NOT NULL,
    message_id bigint NOT NULL,
    chat       bigint NOT NULL,
    PRIMARY KEY (sender, client_id)
);

-- Old claims are deleted by the age of their message.
CREATE INDEX message_claims_message ON message_claims (message_id);
