"""The models of this server: what is known of each, where its weights lie, and its versions."""
