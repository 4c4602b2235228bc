"""What a tuning job asked for beside the models of an endpoint."""
