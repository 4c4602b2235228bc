"""How every part of the console is."""
