"""Images that strangers sent, made harmless by a child process before anything else looks at them."""
