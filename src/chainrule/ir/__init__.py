"""What a computation is: nodes, operations, recording, graphs."""
