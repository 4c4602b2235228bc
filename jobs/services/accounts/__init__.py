"""Who may sign in, and what each person prefers."""
