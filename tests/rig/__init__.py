"""What tests stand on: real servers, a network that fails on demand, fleets of processes, waiting."""
