"""Who is asking: known browsers, attempts at a password, and what waits until a person has proved who they are."""
