"""Text that is stored and read later, that models wrote, and schemas that they are to follow."""
