"""Who may reach what in Cloud Storage, and which folders an administrator shares."""
