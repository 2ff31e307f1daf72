"""How alike the states of agents are (`agents`), their dynamics (`dsa`), and distances of states and of x* (`rsa`)."""
