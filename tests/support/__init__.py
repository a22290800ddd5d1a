"""What the tests share: the server under test, the people who talk to it, and what an answer must look like."""
