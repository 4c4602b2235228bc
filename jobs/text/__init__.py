"""Text that is stored and read later, and text that models wrote."""
