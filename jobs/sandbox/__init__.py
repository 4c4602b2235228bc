"""Children that open what strangers sent, with few rights and little of everything."""
