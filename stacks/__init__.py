"""How and where runs are executed: the only code that knows orchestrators and stacks."""
