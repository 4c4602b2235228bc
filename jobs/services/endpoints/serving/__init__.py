"""What a deployment may be asked for beside its machine: what is offered, what a value may be, how a row keeps it."""
