"""Where the factory's state lives: SQL rows, objects, log keys. Implements `kifabrik.factory.ports`."""
