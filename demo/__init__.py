"""A server with people in it who have much to say, to look around on."""
